package simulator

// Events that are not about a response, as the backend of codex sends them.

// metaEvents come before the first event of a turn and before the second.
var metaEvents = [...]string{
	`{"type":"codex.rate_limits","plan_type":"simulated","rate_limits":{` +
		`"primary":{"used_percent":1,"window_minutes":300,"reset_at":1795000000},"secondary":null}}`,
	`{"type":"codex.response.metadata","headers":{"x-codex-turn-state":"simulated"},"metadata":{}}`,
}

// timingEvent comes after the last.
const timingEvent = `{"type":"responsesapi.websocket_timing","timing_metrics":{}}`
