// Package pricing knows what a token costs: lists of prices, and the [Book] that finds
// the one that applies to an exchange.
//
// A [List] is figures with a source and a version: the one that is embedded, one in the
// shape of models.dev from a file or an address, or the operator's own. A Book is made
// of lists and never changes; a [Refresher] holds the current one and replaces it.
//
// Nothing here computes with binary floating point: a price is decimal text until it is
// a whole number of picodollars. What no list has is unknown, which is never a price of
// zero.
package pricing
