package simulator

import (
	"errors"
	"maps"
)

// UsageOfCreate returns the usage that the answer to a message of type response.create
// reports by the rules of the package, where no script interferes and nobody stops it.
// What a previous response adds is not known here. The error says why there is no usage.
func UsageOfCreate(frame []byte) (Usage, error) {
	f, err := parseFields(frame)
	if err != nil {
		return Usage{}, err
	}
	req, err := createRequest(f, false)
	if err != nil {
		return Usage{}, err
	}
	var none Script
	return req.usage(&none, req.prompt.tokens, req.generate(&none)), nil
}

// createRequest reads the members of a response.create as a request to Responses.
func createRequest(f fields, strict bool) (*responseRequest, error) {
	generate, background := true, false
	err := errors.Join(f.read("generate", &generate), f.read("background", &background))
	if err != nil {
		return nil, first(err)
	}
	f = maps.Clone(f)
	for _, name := range []string{"type", "stream_id", "generate"} {
		delete(f, name)
	}
	for _, name := range []string{"stream", "stream_options", "background"} {
		if _, given := f[name]; given && (strict || name == "background" && background) {
			return nil, badRequest("unsupported_parameter", name, "Unsupported parameter on a WebSocket: '%s'.", name)
		}
		delete(f, name)
	}
	req, err := parseResponse(encode(f))
	if err != nil {
		return nil, err
	}
	req.warmUp = req.warmUp || !generate
	return req, nil
}
