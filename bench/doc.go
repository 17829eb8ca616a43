// Package bench measures what the gateway costs next to [net/http/httputil.ReverseProxy],
// which forwards without reading: the floor that a gateway in Go starts from.
//
// It holds the cases, a provider and clients that do as little as possible, and the two
// handlers. The benchmarks of this package run them in one process; command compare
// alternates them in one process; command binary measures the built programs from
// outside. Every answer is checked, so that nothing is fast by being wrong.
package bench
