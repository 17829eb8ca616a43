package interceptors

import (
	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/wire"
)

// prefix is the part of a request that stays the same in all turns of a conversation, but
// for what comes after the first message of the user in turns.
type prefix struct{ system, tools, turns []byte }

// prefixOf returns that of x, which has a body.
func prefixOf(x *llmproxy.Exchange) (p prefix) {
	responses := x.Operation.API == llmproxy.APIResponses
	for name, value := range wire.Members(x.Body.Bytes()) {
		switch string(name) {
		case "tools", "toolConfig":
			p.tools = value
		case "instructions", "prompt":
			if responses && !wire.IsNull(value) {
				p.system = value
			}
		case "input":
			if responses {
				p.turns = value
			}
		case "system", "systemInstruction", "system_instruction":
			if !responses {
				p.system = value
			}
		case "messages", "contents":
			if !responses {
				p.turns = value
			}
		}
	}
	return p
}

// digest returns a hash of p, nil where there is nothing to hash. opening says that nothing
// comes after it yet.
func (p *prefix) digest() (d *digest, opening bool) {
	first, opening := firstTurn(p.turns)
	if len(p.system) == 0 && len(p.tools) == 0 && len(first) == 0 {
		return nil, opening
	}
	d = newDigest()
	d.add(p.system)
	d.add(p.tools)
	for _, part := range first {
		d.add(part)
	}
	return d, opening
}

// firstTurn returns what a conversation begins with, up to the first message of the user.
// all says that there is no more.
func firstTurn(turns []byte) (parts [][]byte, all bool) {
	switch wire.KindOf(turns) {
	case wire.Text:
		return [][]byte{turns}, true
	case wire.Array:
	default:
		return nil, true
	}
	asked := false
	for turn := range wire.Elements(turns) {
		if asked {
			return parts, false
		}
		parts = append(parts, turn)
		role, _ := wire.String(wire.Member(turn, "role"))
		asked = role == "user"
	}
	return parts, true
}
