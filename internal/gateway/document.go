package gateway

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// A node is one value of a parsed file.
type node struct {
	kind    kind
	place   place
	text    string         // of a scalar, before the environment is put in
	entries []entry        // of a mapping, in the file's order
	index   map[string]int // of entries by key
	items   []*node        // of a list
}

type kind int

const (
	kindNull kind = iota
	kindScalar
	kindMapping
	kindList
)

// An entry is a key of a mapping and its value.
type entry struct {
	key   string
	place place
	value *node
}

// A place is where something stands in a file. Line and column count from 1.
type place struct {
	line, column int
	label        string // the key that it is, or that leads to it; "-" in a list
}

// parseYAML reads a file of at most one document. It returns nil for an empty one.
// Anchors, aliases and merge keys are resolved; tags are ignored, because the place of a
// value says what type it has.
func parseYAML(text []byte) (root *node, faults Faults) {
	// A byte order mark, as some editors leave it.
	plain := strings.TrimPrefix(string(text), "\ufeff")
	file, err := parseFile(plain)
	if err != nil {
		return nil, Faults{syntaxFault(plain, err)}
	}
	c := converter{anchors: map[string]*node{}}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			c.fault(placeOf(doc.Body, ""), "a second document begins here; a configuration is one document")
			break
		}
		root = c.convert(doc.Body, "")
	}
	return root, c.faults
}

// parseFile parses text. A parser that panics has found that its input is no good.
func parseFile(text string) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the parser gave up")
		}
	}()
	return parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
}

// syntaxFault describes what the parser said without quoting what may be a secret.
func syntaxFault(text string, err error) Fault {
	f := Fault{Message: "this is not valid YAML"}
	var e yaml.Error
	if !errors.As(err, &e) {
		return f
	}
	if message := e.GetMessage(); !strings.ContainsAny(message, `"\`) {
		f.Message += ": " + message
	}
	t := e.GetToken()
	if t == nil || t.Position == nil {
		return f
	}
	f.Line, f.Column = t.Position.Line, t.Position.Column
	lines := strings.Split(text, "\n")
	if f.Line < 1 || f.Line > len(lines) {
		return f
	}
	line := strings.TrimSpace(lines[f.Line-1])
	if strings.Contains(line, "{") && strings.Contains(line, ": ${") {
		f.Message += ` (between { and }, put quotes around "${…}")`
	}
	key, _, ok := strings.Cut(strings.TrimLeft(line, "-{ "), ":")
	if ok && isPlainKey(key) {
		f.Source = key + ": …"
	}
	return f
}

// isPlainKey reports whether s looks like a key that was meant as one.
func isPlainKey(s string) bool {
	if s == "" || len(s) > 40 {
		return false
	}
	for _, c := range s {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", c) {
			return false
		}
	}
	return true
}

// A converter makes nodes of the parser's tree.
type converter struct {
	anchors map[string]*node
	faults  Faults
}

func (c *converter) fault(p place, format string, args ...any) {
	c.faults = append(c.faults, Fault{Line: p.line, Column: p.column, Message: fmt.Sprintf(format, args...)})
}

// placeOf returns where n begins.
func placeOf(n ast.Node, label string) place {
	p := place{label: label}
	t := n.GetToken()
	switch n := n.(type) {
	case *ast.MappingNode:
		// The token of a block mapping is its first colon.
		if !n.IsFlowStyle && len(n.Values) > 0 {
			t = n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		t = n.Key.GetToken()
	}
	if t != nil && t.Position != nil {
		p.line, p.column = t.Position.Line, t.Position.Column
	}
	return p
}

func (c *converter) convert(n ast.Node, label string) *node {
	out := &node{place: placeOf(n, label)}
	switch n := n.(type) {
	case *ast.MappingNode:
		c.fill(out, n.Values)
	case *ast.MappingValueNode:
		c.fill(out, []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		out.kind = kindList
		for _, v := range n.Values {
			out.items = append(out.items, c.convert(v, "-"))
		}
	case *ast.AnchorNode:
		out = c.convert(n.Value, label)
		// Only now: an alias inside its own anchor must find nothing.
		c.anchors[n.Name.GetToken().Value] = out
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		target, ok := c.anchors[name]
		if !ok {
			c.fault(out.place, "no anchor of the name *%s comes before this line", name)
			return out
		}
		return target
	case *ast.TagNode:
		return c.convert(n.Value, label)
	case *ast.NullNode, nil:
	case *ast.LiteralNode:
		out.kind, out.text = kindScalar, n.Value.Value
	case ast.ScalarNode:
		out.kind, out.text = kindScalar, n.GetToken().Value
	default:
		c.fault(out.place, "a %s has no place here", n.Type().YAMLName())
	}
	return out
}

// fill makes a mapping of out. Merge keys come last: a mapping's own keys win.
func (c *converter) fill(out *node, values []*ast.MappingValueNode) {
	out.kind, out.index = kindMapping, map[string]int{}
	for _, v := range values {
		if !v.Key.IsMergeKey() {
			c.add(out, v)
		}
	}
	for _, v := range values {
		if v.Key.IsMergeKey() {
			c.merge(out, v)
		}
	}
}

// add adds a key and its value to the mapping out.
func (c *converter) add(out *node, v *ast.MappingValueNode) {
	var key ast.Node = v.Key
	if k, ok := key.(*ast.MappingKeyNode); ok {
		key = k.Value
	}
	scalar, ok := key.(ast.ScalarNode)
	if !ok {
		c.fault(placeOf(v, ""), "a key must be a plain word")
		return
	}
	name := scalar.GetToken().Value
	e := entry{key: name, place: placeOf(scalar, name), value: c.convert(v.Value, name)}
	if i, ok := out.index[name]; ok {
		c.fault(e.place, "the key %s stands here twice; the first is on line %d", quoteKey(name), out.entries[i].place.line)
		return
	}
	out.append(e)
}

// merge adds what <<: names, unless the mapping has it already.
func (c *converter) merge(out *node, v *ast.MappingValueNode) {
	value := c.convert(v.Value, "<<")
	sources := []*node{value}
	if value.kind == kindList {
		sources = value.items
	}
	for _, s := range sources {
		if s.kind != kindMapping {
			c.fault(placeOf(v, ""), "<<: wants an alias of a mapping")
			return
		}
		for _, e := range s.entries {
			if _, ok := out.index[e.key]; !ok {
				out.append(e)
			}
		}
	}
}

func (n *node) append(e entry) {
	n.index[e.key] = len(n.entries)
	n.entries = append(n.entries, e)
}

// quoteKey quotes a key for a message. Of a key with a colon in it, what follows the
// colon was meant as a value: {api_key:sk-…} is one key to YAML.
func quoteKey(key string) string {
	if before, _, ok := strings.Cut(key, ":"); ok {
		key = before + ":…"
	}
	return fmt.Sprintf("%q", key)
}
