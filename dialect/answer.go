package dialect

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// Answer is what the readers of one answer have in common: what they know so far. A
// reader embeds it and feeds it from its Frame method.
type Answer struct {
	Meta       llmproxy.ResponseMetadata // all but the usage
	Counters   Counters
	Convention Convention
	Output     bool // some has been seen: text, reasoning, the call of a tool
	Over       bool // the terminal event has been seen

	charge Charge // nil where the provider states none
}

// Done reports that the answer's terminal event has been seen.
func (a *Answer) Done() bool { return a.Over }

// Metadata returns what is known so far. Usage that is zero throughout counts as
// reported only where there is no output: it costs something, and zeros are what servers
// send that do not count (https://github.com/azerozero/grob/issues/454).
func (a *Answer) Metadata() llmproxy.ResponseMetadata {
	m := a.Meta
	reported := a.Counters.Reported()
	if reported && a.Output && a.Counters.Zero() {
		reported = false
		m.CostReported = m.CostReported && m.ProviderCost > 0
	}
	m.UsageReported = reported || m.CostReported
	if reported {
		m.Usage, m.Inconsistent = a.Counters.Usage(a.Convention)
	}
	return m
}

// ReadUsage takes over a usage object: its counts, as [Counters.Read] does, and what the
// provider says it charged. A charge belongs to the counts it came with: later ones
// without a charge end it.
func (a *Answer) ReadUsage(usage []byte) {
	if a.charge == nil {
		a.Counters.Read(usage)
		return
	}
	before := a.Counters
	blank := a.Counters.read(usage)
	amount, ok := a.charge(usage)
	if blank && amount == 0 {
		return
	}
	if ok || a.Counters != before {
		a.Meta.ProviderCost, a.Meta.CostReported = amount, ok
	}
}

// Fail notes that the answer reports an error. fault is the object with its type and
// code; of a fault that is no object only the fact is kept. Its message is never kept.
func (a *Answer) Fail(fault []byte) {
	a.Meta.Outcome = llmproxy.OutcomeFailed
	for name, value := range wire.Members(fault) {
		switch string(name) {
		case "type":
			// "error" is the type of the event that carries a flat fault.
			if string(value) != `"error"` {
				Keep(&a.Meta.ErrorType, value)
			}
		case "code":
			Keep(&a.Meta.ErrorCode, value)
			if n, ok := wire.Int(value); ok {
				a.Meta.ErrorCode = strconv.FormatInt(n, 10)
			}
		}
	}
}

// Fault notes the error that data, an event or a body, reports, if it does: with an
// object or a text as its member error, or by being an error object itself. object and
// err are the values of those members.
func (a *Answer) Fault(data, object, err []byte) (failed bool) {
	switch {
	case IsObject(err):
		a.Fail(err)
	case isText(err), string(object) == `"error"`:
		// A text has its code beside it (xAI).
		a.Fail(data)
	default:
		return false
	}
	return true
}

// ErrorEvent reads an event named error, which ends a stream. Its fault is nested in a
// member error, or flat.
func (a *Answer) ErrorEvent(data []byte) {
	if fault := wire.Member(data, "error"); IsObject(fault) {
		data = fault
	}
	a.Fail(data)
	a.Over = true
}

// Body reads a whole body that is neither choices nor a response: one whose answer is in
// a member data, if it is no error.
func (a *Answer) Body(body []byte) {
	var object, err, data []byte
	for name, value := range wire.Members(body) {
		switch string(name) {
		case "id":
			Keep(&a.Meta.ID, value)
		case "model":
			Keep(&a.Meta.Model, value)
		case "service_tier":
			Keep(&a.Meta.ServiceTier, value)
		case "usage":
			a.ReadUsage(value)
		case "object":
			object = value
		case "error":
			err = value
		case "data":
			data = value
		}
	}
	switch {
	case !Whole(body):
	case a.Fault(body, object, err):
		a.Over = true
	case !absent(data):
		a.Meta.Outcome, a.Over = llmproxy.OutcomeCompleted, true
	}
	a.Output = a.Output || Filled(data)
}

// maxText is the size in bytes to which the strings of an answer are cut. Ids and model
// names are far shorter.
const maxText = 256

// Keep sets dst to the JSON string value, cut to 256 bytes. Anything but a string that
// is not empty leaves dst as it is. What dst holds already is not copied again.
func Keep(dst *string, value []byte) {
	const longest = len(`""`) + maxText*len(`\u0000`)
	if len(value) > longest || len(value) < 2 || string(value[1:len(value)-1]) == *dst {
		return
	}
	s, ok := wire.String(value)
	if !ok || s == "" {
		return
	}
	if len(s) > maxText {
		n := maxText
		for !utf8.RuneStart(s[n]) {
			n--
		}
		s = strings.Clone(s[:n])
	}
	*dst = s
}

// EventType returns the name of an event: that of the frame, else the member type of its
// JSON object; nil where there is neither, as in a whole body. It is a part of f.
func EventType(f wire.Frame) []byte {
	if len(f.Event) > 0 && string(f.Event) != "message" {
		return f.Event
	}
	value := wire.Member(f.Data, "type")
	if !isText(value) {
		return nil
	}
	return value[1 : len(value)-1]
}

// Whole reports whether data ends like a JSON object that has not been cut.
func Whole(data []byte) bool {
	data = bytes.TrimRight(data, space)
	return len(data) > 0 && data[len(data)-1] == '}'
}

const space = " \t\r\n" // of JSON

// IsObject reports whether value, the value of a member, is an object.
func IsObject(value []byte) bool { return len(value) > 1 && value[0] == '{' }

// isText reports whether value is a string that is not empty.
func isText(value []byte) bool { return len(value) > len(`""`) && value[0] == '"' }

// Filled reports whether value, the value of a member, is a text, a list or an object
// with something in it.
func Filled(value []byte) bool {
	if len(value) <= 2 {
		return false
	}
	switch value[0] {
	case '"':
		return true
	case '[', '{':
		return len(bytes.TrimSpace(value[1:len(value)-1])) > 0
	}
	return false
}

// HasText reports whether object has a text that is not empty, besides its type.
func HasText(object []byte) bool {
	for name, value := range wire.Members(object) {
		if isText(value) && string(name) != "type" {
			return true
		}
	}
	return false
}

// absent reports whether a member's value is missing or null.
func absent(value []byte) bool { return value == nil || wire.IsNull(value) }
