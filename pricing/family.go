package pricing

import "bytes"

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

// trimmed returns the part of name, in lower case, by which a family's list knows it:
// without the address that some providers put before it.
func trimmed(family string, name []byte) []byte {
	switch family {
	case "googleai", "vertexai":
		// models/gemini-2.5-pro, publishers/google/models/…, projects/p/locations/l/…
		if i := bytes.LastIndex(name, []byte("models/")); i >= 0 && (i == 0 || name[i-1] == '/') {
			return name[i+len("models/"):]
		}
		if i := bytes.IndexByte(name, '/'); i >= 0 && family == "vertexai" {
			return name[i+1:] // google/gemini-2.5-pro, on Vertex AI's Chat Completions
		}
	case "fireworks":
		for _, prefix := range [...]string{"accounts/fireworks/models/", "accounts/fireworks/routers/", "fireworks/"} {
			if rest, ok := bytes.CutPrefix(name, []byte(prefix)); ok {
				return rest
			}
		}
	case "bedrock":
		if bytes.HasPrefix(name, []byte("arn:")) {
			return name[bytes.LastIndexByte(name, '/')+1:]
		}
	}
	return name
}

// reduced returns name without the last thing that distinguishes a release of a model
// from the model, in the ways of the family: a date, "latest", a version. It is name
// itself when there is nothing to leave out.
func reduced(family string, name []byte) []byte {
	for _, suffix := range [...]string{"-latest", "@latest", "@default"} {
		if rest, ok := bytes.CutSuffix(name, []byte(suffix)); ok && len(rest) > 0 {
			return rest
		}
	}
	if n := len(name) - len("-2025-08-07"); n > 0 && name[n] == '-' && name[n+5] == '-' && name[n+8] == '-' &&
		isDate(name[n+1:n+5], name[n+6:n+8], name[n+9:]) {
		return name[:n]
	}
	if n := len(name) - len("-20250807"); n > 0 && (name[n] == '-' || name[n] == '@') &&
		isDate(name[n+1:n+5], name[n+5:n+7], name[n+7:]) {
		return name[:n]
	}
	switch family {
	case "googleai", "vertexai":
		// gemini-2.0-flash-001
		if n := len(name) - 4; n > 0 && name[n] == '-' && name[n+1] == '0' && digits(name[n+1:]) {
			return name[:n]
		}
	case "bedrock":
		// …-v1:0 and …-v1 and …:0
		for _, mark := range [...]string{":", "-v"} {
			i := bytes.LastIndex(name, []byte(mark))
			if i > 0 && i+len(mark) < len(name) && digits(name[i+len(mark):]) {
				return name[:i]
			}
		}
	}
	return name
}

// isDate reports whether the three are the digits of a day of this century.
func isDate(year, month, day []byte) bool {
	return digits(year) && digits(month) && digits(day) && year[0] == '2' && year[1] == '0' &&
		string(month) >= "01" && string(month) <= "12" && string(day) >= "01" && string(day) <= "31"
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// inRegion returns name, one of Bedrock's, without the profile that keeps it within a
// part of the world: the regional figure is that of all of them. The global profile is
// another price.
func inRegion(name []byte) (rest []byte, ok bool) {
	for _, prefix := range [...]string{"us.", "eu.", "apac.", "jp.", "au.", "ca.", "in.", "us-gov."} {
		if rest, ok = bytes.CutPrefix(name, []byte(prefix)); ok {
			return rest, true
		}
	}
	return name, false
}

// tierOf returns the name that factors and columns have for a tier as a provider spells
// it. prepaid says that its tokens are paid elsewhere.
func tierOf(served string) (tier string, prepaid bool) {
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
		return "", true
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
