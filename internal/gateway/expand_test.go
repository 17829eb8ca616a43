package gateway

import "testing"

func TestExpand(t *testing.T) {
	t.Parallel()
	lookup := environment("A=a", "EMPTY=", "NEST=${A}", "B_2=b: {c}\n- d")
	for _, tt := range []struct{ in, want, fault string }{
		{"", "", ""},
		{"plain", "plain", ""},
		{"${A}", "a", ""},
		{"x${A}y${A}z", "xayaz", ""},
		{"${B_2}", "b: {c}\n- d", ""},
		{"${NEST}", "${A}", ""}, // a value is not read again
		{"${EMPTY}", "", ""},
		{"${EMPTY:-d}", "d", ""},
		{"${UNSET:-}", "", ""},
		{"${UNSET:-a:-b}", "a:-b", ""},
		{"${UNSET:-${A}}", "a", ""},
		{"${UNSET:-<${UNSET:-${A}}>}!", "<a>!", ""},
		{"${A:-${UNSET}}", "a", ""}, // a default that is not needed
		{"$$", "$", ""},
		{"$${A}", "${A}", ""},
		{"$$$${A}", "$${A}", ""},
		{"$$${A}", "$a", ""},
		{"${UNSET:-$$}}", "$}", ""},
		{"cost: 5$, $A, $", "cost: 5$, $A, $", ""},
		{"}", "}", ""},
		{"${UNSET}", "", "the environment variable UNSET is not set; set it, or write ${UNSET:-default}"},
		{"${UNSET:-${OTHER}}", "", "the environment variable OTHER is not set; set it, or write ${OTHER:-default}"},
		{"${}", "", "a ${ is followed by no name; write ${NAME}, ${NAME:-default}, or $$ for a plain $"},
		{"${ A}", "", "a ${ is followed by no name; write ${NAME}, ${NAME:-default}, or $$ for a plain $"},
		{"${2A}", "", "a ${ is followed by no name; write ${NAME}, ${NAME:-default}, or $$ for a plain $"},
		{"${A", "", "${A is followed by something else than } or :-; write ${A} or ${A:-default}"},
		{"${A-b}", "", "${A is followed by something else than } or :-; write ${A} or ${A:-default}"},
		{"${A:?must}", "", "${A is followed by something else than } or :-; write ${A} or ${A:-default}"},
		{"${A:-b", "", "a ${ is not closed by a }; write $$ for a plain $"},
	} {
		got, err := expand(tt.in, lookup)
		fault := ""
		if err != nil {
			fault = err.Error()
		}
		if got != tt.want || fault != tt.fault {
			t.Errorf("expand(%q) = %q, %q, want %q, %q", tt.in, got, fault, tt.want, tt.fault)
		}
	}
}
