package gateway

import (
	"encoding"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
)

// A decoder fills a Config from nodes, notes every fault on the way, and remembers where
// things stood for the faults that only show when all is read.
type decoder struct {
	file   string
	lookup lookupFunc
	faults Faults
	keys   map[string]shownPlace // by path: providers.openai.type
	values map[string]shownPlace
	faulty []string // the paths of the faults
}

// A shownPlace is a place with the text that may be shown of it.
type shownPlace struct {
	place
	source string
}

func newDecoder(file string, lookup lookupFunc) *decoder {
	return &decoder{file: file, lookup: lookup, keys: map[string]shownPlace{}, values: map[string]shownPlace{}}
}

// fault notes a fault of the value or key at path.
func (d *decoder) fault(path string, at shownPlace, format string, args ...any) {
	d.faulty = append(d.faulty, path)
	f := Fault{Line: at.line, Column: at.column, Source: at.source, Message: fmt.Sprintf(format, args...)}
	if f.Line > 0 {
		f.File = d.file
	}
	d.faults = append(d.faults, f)
}

// at returns where path's value stands, or its key, or the key above it.
func (d *decoder) at(path string) shownPlace {
	if at, ok := d.values[path]; ok {
		return at
	}
	for {
		if at, ok := d.keys[path]; ok || path == "" {
			return at
		}
		path = path[:max(strings.LastIndexByte(path, '.'), 0)]
	}
}

// faultyBelow reports whether path, or anything in it, has a fault.
func (d *decoder) faultyBelow(path string) bool {
	return slices.ContainsFunc(d.faulty, func(f string) bool {
		return f == path || strings.HasPrefix(f, path+".")
	})
}

// show returns the place of n; its text only where it cannot be a secret.
func show(n *node, secret bool) shownPlace {
	s := shownPlace{place: n.place}
	if n.place.label == "" {
		return s
	}
	value := "…"
	if n.kind == kindScalar && !secret && !strings.ContainsAny(n.text, "\r\n") {
		value = n.text
	}
	switch {
	case n.kind == kindNull:
		s.source = n.place.label + ":"
	case n.place.label == "-":
		s.source = "- " + value
	default:
		s.source = n.place.label + ": " + value
	}
	return s
}

// showKey returns the place of a key. Its value is never shown: that of an unknown key
// may well be a secret under a misspelt name.
func showKey(e entry) shownPlace {
	key := e.key
	if before, _, ok := strings.Cut(key, ":"); ok {
		key = before
	}
	return shownPlace{place: e.place, source: key + ": …"}
}

// decode fills v from n. secret says that n's text must not be shown.
func (d *decoder) decode(n *node, v reflect.Value, path string, secret bool) {
	if n.kind == kindNull {
		return
	}
	d.values[path] = show(n, secret)
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.text(n, u, path, secret)
		return
	}
	switch v.Kind() {
	case reflect.String:
		if s, ok := d.scalar(n, path, secret); ok {
			v.SetString(s)
		}
	case reflect.Bool:
		d.bool(n, v, path, secret)
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		before := len(d.faults)
		d.decode(n, p.Elem(), path, secret)
		if len(d.faults) == before {
			v.Set(p)
		}
	case reflect.Struct:
		d.mapping(n, v, path)
	case reflect.Map:
		d.strings(n, v, path, secret)
	case reflect.Slice:
		if isNamed(v.Type().Elem()) {
			d.named(n, v, path)
		} else {
			d.list(n, v, path, secret)
		}
	default:
		panic("gateway: a Config has a field of type " + v.Type().String())
	}
}

// scalar returns n's text with the environment put in.
func (d *decoder) scalar(n *node, path string, secret bool) (value string, ok bool) {
	if n.kind != kindScalar {
		d.fault(path, show(n, secret), "%s wants one value, not a %s", path, n.kind)
		return "", false
	}
	value, err := expand(n.text, d.lookup)
	if err != nil {
		d.fault(path, show(n, secret), "%s: %v", path, err)
		return "", false
	}
	return value, true
}

// text fills what reads itself. Neither a secret nor what the environment says is shown.
func (d *decoder) text(n *node, u encoding.TextUnmarshaler, path string, secret bool) {
	value, ok := d.scalar(n, path, secret)
	if !ok {
		return
	}
	err := u.UnmarshalText([]byte(value))
	if _, ok := u.(*slog.Level); ok && err != nil {
		err = fmt.Errorf("is no level: write debug, info, warn or error")
	}
	if err != nil {
		d.refuse(n, path, secret, value, err.Error())
	}
}

// refuse notes that the value of n will not do; reason reads on from the value.
func (d *decoder) refuse(n *node, path string, secret bool, value, reason string) {
	shown := "the value"
	switch {
	case secret:
	case value != n.text:
		shown = "what the environment makes of it"
	default:
		shown = fmt.Sprintf("%q", value)
	}
	d.fault(path, show(n, secret), "%s: %s %s", path, shown, reason)
}

func (d *decoder) bool(n *node, v reflect.Value, path string, secret bool) {
	value, ok := d.scalar(n, path, secret)
	if !ok {
		return
	}
	switch value {
	case "true", "false":
		v.SetBool(value == "true")
	default:
		d.refuse(n, path, secret, value, "is neither true nor false")
	}
}

// mapping fills a struct; its keys are the yaml tags.
func (d *decoder) mapping(n *node, v reflect.Value, path string) {
	if n.kind != kindMapping {
		d.wantMapping(n, path)
		return
	}
	fields := map[string]reflect.StructField{}
	var known []string
	for _, f := range reflect.VisibleFields(v.Type()) {
		if tag := f.Tag.Get("yaml"); tag != "" && tag != "-" {
			fields[tag] = f
			known = append(known, tag)
		}
	}
	for _, e := range n.entries {
		at := join(path, e.key)
		d.keys[at] = showKey(e)
		f, ok := fields[e.key]
		switch {
		case ok:
			d.decode(e.value, v.FieldByIndex(f.Index), at, f.Tag.Get("secret") != "")
		default:
			d.fault(at, showKey(e), "unknown key %s in %s%s", quoteKey(e.key), nameOf(path), suggest(e.key, known))
		}
	}
}

// wantMapping notes that n is no mapping, without showing it: it may be a key and a
// secret that lack the space between them.
func (d *decoder) wantMapping(n *node, path string) {
	hint := ""
	if n.kind == kindScalar && strings.Contains(n.text, ":") {
		hint = "; put a space after the colon"
	}
	d.fault(path, show(n, true), "%s wants keys of its own, not a %s%s", nameOf(path), n.kind, hint)
}

// named fills a slice of structs from a mapping, in the file's order. The key of each
// goes into the field with the key tag.
func (d *decoder) named(n *node, v reflect.Value, path string) {
	if n.kind != kindMapping {
		d.wantMapping(n, path)
		return
	}
	for _, e := range n.entries {
		at := join(path, e.key)
		d.keys[at] = showKey(e)
		item := reflect.New(v.Type().Elem()).Elem()
		for _, f := range reflect.VisibleFields(item.Type()) {
			if f.Tag.Get("key") != "" {
				item.FieldByIndex(f.Index).SetString(e.key)
			}
		}
		d.decode(e.value, item, at, false)
		v.Set(reflect.Append(v, item))
	}
}

// strings fills a map of strings.
// isNamed reports whether values of t are the entries of a mapping, whose keys are in them.
func isNamed(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for _, f := range reflect.VisibleFields(t) {
		if f.Tag.Get("key") != "" {
			return true
		}
	}
	return false
}

func (d *decoder) strings(n *node, v reflect.Value, path string, secret bool) {
	if n.kind != kindMapping {
		d.wantMapping(n, path)
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range n.entries {
		at := join(path, e.key)
		d.keys[at] = showKey(e)
		value := reflect.New(v.Type().Elem()).Elem()
		d.decode(e.value, value, at, secret)
		v.SetMapIndex(reflect.ValueOf(e.key).Convert(v.Type().Key()), value)
	}
}

// list fills a []string. One value without brackets is a list of one.
func (d *decoder) list(n *node, v reflect.Value, path string, secret bool) {
	items := n.items
	if n.kind == kindScalar {
		items = []*node{n}
	} else if n.kind != kindList {
		d.fault(path, show(n, true), "%s wants a list, not a %s", path, n.kind)
		return
	}
	for i, item := range items {
		value := reflect.New(v.Type().Elem()).Elem()
		d.decode(item, value, fmt.Sprintf("%s[%d]", path, i), secret)
		v.Set(reflect.Append(v, value))
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// nameOf names the mapping at path in a message.
func nameOf(path string) string {
	if path == "" {
		return "the configuration"
	}
	return path
}

func (k kind) String() string {
	switch k {
	case kindScalar:
		return "single value"
	case kindMapping:
		return "mapping"
	case kindList:
		return "list"
	default:
		return "null"
	}
}
