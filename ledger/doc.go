// Package ledger keeps usage records through crashes: a [Journal] that a record is in
// before the client has its whole answer, and a [Store] that the journal drains into. A
// [View] shows both as one.
//
// What a caller may rely on: an exchange that Begin let pass leaves one record, whichever
// process is killed when, whether the store is up, and whether the disk is full. With
// [DurabilityFsync] the same holds for power cuts.
package ledger
