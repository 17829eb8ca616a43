package dialect

// News counts the chunks that were read because they might say something. It implements
// the root package's NewsTeller.
func (c *Choices) News() int { return c.parsed }
