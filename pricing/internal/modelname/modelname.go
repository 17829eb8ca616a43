// Package modelname takes the names that providers give a model's releases apart, so that
// a price is found for gpt-5-2025-08-07 as for gpt-5.
//
// Names are in lower case. What is returned is a part of what was given: nothing is
// allocated.
package modelname

import "bytes"

// Trimmed returns the part of name, in lower case, by which a family's list knows it:
// without the address that some providers put before it.
func Trimmed(family string, name []byte) []byte {
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

// Reduced returns name without the last thing that distinguishes a release of a model
// from the model, in the ways of the family: a date, "latest", a version. It is name
// itself when there is nothing to leave out.
func Reduced(family string, name []byte) []byte {
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
	case "openai", "azure":
		// ft:gpt-4o-2024-08-06:acme::abc
		if rest, ok := bytes.CutPrefix(name, []byte("ft:")); ok {
			if i := bytes.IndexByte(rest, ':'); i > 0 {
				return name[:len("ft:")+i]
			}
		}
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

// InRegion returns name, one of Bedrock's, without the profile that keeps it within a
// part of the world: the regional figure is that of all of them. The global profile is
// another price.
func InRegion(name []byte) (rest []byte, ok bool) {
	for _, prefix := range [...]string{"us.", "eu.", "apac.", "jp.", "au.", "ca.", "in."} {
		if rest, ok = bytes.CutPrefix(name, []byte(prefix)); ok {
			return rest, true
		}
	}
	return name, false
}
