// Package ledger keeps usage records through crashes: a [Journal] that a record is in
// before the client has its whole answer, and a [Store] that the journal drains into.
package ledger
