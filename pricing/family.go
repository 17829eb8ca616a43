package pricing

// Family returns the family of prices of a type of provider, as the configuration names
// types; "" where there is none, as for a service that only its operator knows.
func Family(providerType string) string {
	switch providerType {
	case "openai", "anthropic", "googleai", "vertexai", "bedrock", "azure", "groq", "fireworks", "xai",
		"perplexity", "deepseek", "mistral", "together", "cerebras", "cohere", "openrouter", "moonshot",
		"zai", "minimax":
		return providerType
	}
	return ""
}

// kin returns the families whose figures a family's provider publishes as its own for
// the same models: Azure and Vertex AI resell. Their own figures come first.
func kin(family string) []string {
	switch family {
	case "azure":
		return []string{"openai", "anthropic"}
	case "vertexai":
		return []string{"googleai", "anthropic"}
	}
	return nil
}

// maxName is the longest name of a model, in bytes, that can have a price.
const maxName = 256

// tierOf returns the name that factors and columns have for a tier as a family's provider
// spells it. prepaid says that its tokens are paid elsewhere, as capacity.
func tierOf(family, served string) (tier string, prepaid bool) {
	var buf [32]byte
	name, ok := lowered(buf[:], served)
	if !ok {
		return served, false
	}
	switch string(name) {
	case "", "auto", "default", "standard", "standard_only", "on_demand", "on-demand",
		"unspecified", "service_tier_unspecified", "service_tier_standard":
		return "", false
	case "flex", "on_demand_flex", "service_tier_flex":
		return "flex", false
	case "priority", "fast", "on_demand_priority", "service_tier_priority":
		return "priority", false
	case "batch", "batches":
		return "batch", false
	case "scale", "reserved", "provisioned", "provisioned_throughput":
		switch family {
		case "openai", "azure", "googleai", "vertexai", "bedrock":
			return "", true
		case "openrouter":
			return "", false // capacity that OpenRouter has, and charges for as any other
		}
	}
	return served, false
}

// lowered writes s in lower case into buf; ok is false where it does not fit.
func lowered(buf []byte, s string) (b []byte, ok bool) {
	if len(s) > len(buf) {
		return nil, false
	}
	b = buf[:len(s)]
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b[i] = c
	}
	return b, true
}

// matches reports whether name fits pattern, in which each * is any bytes. Both are in
// lower case.
func matches(pattern string, name []byte) bool {
	p, n, star, mark := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && pattern[p] == name[n]:
			p++
			n++
		case star >= 0: // let the last * take one more byte
			p = star + 1
			mark++
			n = mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
