// Package keys has the gateway's own keys: who may call it, what for, and for how much.
//
// A [Key] is known by its secret, of which only a hash is kept. A [Store] keeps keys, a
// [Ring] is the copy of them that a running gateway asks, [Authenticate] finds out on whose
// behalf a request is made. [Access] holds an exchange to the models, providers and
// endpoints of its key, and keeps what is made with one key from others; [Budget] holds
// money before the call and settles after it. Both are interceptors, and the same on a JSON
// answer, a stream and a turn of a WebSocket.
//
// Nothing here shows or logs a secret.
package keys
