package keys

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestThingOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path string
		want thing
	}{
		{"/responses", thing{kind: "responses"}},
		{"/responses/", thing{kind: "responses"}},
		{"/responses/compact", thing{}},
		{"/responses/input_tokens", thing{}},
		{"/responses/resp_1", thing{"responses", "resp_1", ""}},
		{"/openai/v1/responses/resp_1/cancel", thing{"responses", "resp_1", "cancel"}},
		{"/v1/%72esponses/resp%5f1", thing{"responses", "resp_1", ""}},
		{"/v1/responses%2Fresp_1", thing{"responses", "resp_1", ""}},
		{"/v1//Files//file-1/content", thing{"files", "file-1", "content"}},
		{"/chat/completions", thing{kind: "completions"}},
		{"/chat/completions/chatcmpl-1/messages", thing{"completions", "chatcmpl-1", "messages"}},
		{"/completions", thing{}},
		{"/messages/batches/msgbatch_1/results", thing{"batches", "msgbatch_1", "results"}},
		{"/vector_stores/vs_1/files/file-1", thing{"vector_stores", "vs_1", "files/file-1"}},
		{"/fine_tuning/jobs/ftjob-1", thing{"jobs", "ftjob-1", ""}},
		{"/v1beta/files/abc:register", thing{"files", "abc", ""}},
		{"/v1beta/models/gemini:generateContent", thing{}},
		{"/conversations/conv_1/items", thing{"conversations", "conv_1", "items"}},
		{"", thing{}},
		{"/%zz/files/file-1", thing{"files", "file-1", ""}},
	} {
		if got := thingOf(tt.path); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.path, got, tt.want)
		}
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		body string
		want []string
	}{
		{`{"input":"file_id"}`, nil},
		{`{"input":[{"content":[{"type":"input_file","file_id":"file-1"}]}]}`, []string{"file-1"}},
		{`{"file_id" : "file-1","a":{"file_ids":["file-2", "file-3"],"vector_store_ids":["vs_1"]}}`, []string{"file-1", "file-2", "file-3", "vs_1"}},
		{`{"file\u005fid":"file-1"}`, []string{"file-1"}},
		{`{"file_id":"file\u002d1"}`, []string{"file-1"}},
		{`{"a":"\"file_id\":\"x\"","training_file":"file-1","validation_file":null,"input_file_id":"file-2"}`, []string{"file-1", "file-2"}},
		{`{"fileData":{"fileUri":"https://example.com/v1beta/files/abc"},"b":{"file_uri":"gs://bucket/x"}}`, []string{"abc"}},
		{`{"file_id":{"file_id":"file-1"}}`, []string{"file-1"}},
		{`{"file_id":1,"file_ids":[]}`, nil},
		{`{"a\\":"b","file_id":"file-1"}`, []string{"file-1"}},
	} {
		got := slices.Collect(references([]byte(tt.body)))
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.body, got, tt.want)
		}
	}
}

// What a decoder finds is found, whatever the shape of the body around it.
func FuzzReferences(f *testing.F) {
	f.Add(`{"a":[{"file_id":"x"},{"b":{"file_ids":["y","z"]}}]}`)
	f.Add(`{"file\u005fid":"\u0041"}`)
	f.Add(`["file_id","a"]`)
	f.Fuzz(func(t *testing.T, text string) {
		var v any
		if json.Unmarshal([]byte(text), &v) != nil {
			return
		}
		got := map[string]bool{}
		for id := range references([]byte(text)) {
			got[id] = true
		}
		var walk func(v any)
		walk = func(v any) {
			switch v := v.(type) {
			case []any:
				for _, e := range v {
					walk(e)
				}
			case map[string]any:
				for name, e := range v {
					if s, ok := e.(string); ok && name == "file_id" && s != "" && !got[s] {
						t.Errorf("%q: %q was not found", text, s)
					}
					walk(e)
				}
			}
		}
		walk(v)
	})
}

// Only what the provider itself fills in is a name that makes somebody an owner.
func TestMade(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind    string
		created bool
		body    string
		want    []string
	}{
		{"files", true, `{"id":"file-1","filename":"file-2"}`, []string{"file-1"}},
		{"files", true, `{"file":{"name":"files/abc","id":"x"}}`, []string{"abc"}},
		{"cachedcontents", true, `{"name":"cachedContents/abc"}`, []string{"abc"}},
		{"vector_stores", true, `{"id":"vs_1","name":"file-2","metadata":{"id":"file-3"},"output_file_id":"file-4"}`, []string{"vs_1"}},
		{"batches", true, `{"id":"batch_1","input_file_id":"file-1"}`, []string{"batch_1"}},
		{"batches", false, `{"id":"batch_1","output_file_id":"file-2","error_file_id":"file-3"}`, []string{"file-2", "file-3"}},
		{"batches", false, `{"output_file_id":null,"error_file_id":""}`, nil},
		{"uploads", false, `{"id":"upload_1","file":{"id":"file-1","name":"files/x"}}`, []string{"file-1"}},
		{"conversations", true, `{"id":"conv_1"}`, []string{"conv_1"}},
		{"files", true, `{"id":"a\u0000b"}`, nil},
		{"files", true, `no JSON`, nil},
	} {
		if got := made(tt.kind, []byte(tt.body), tt.created); !slices.Equal(got, tt.want) {
			t.Errorf("%s %s: got %q, want %q", tt.kind, tt.body, got, tt.want)
		}
	}
}

// pieces is a stream.
type pieces []string

func (p *pieces) Next() ([]byte, error) {
	if len(*p) == 0 {
		return nil, io.EOF
	}
	piece := (*p)[0]
	*p = (*p)[1:]
	return []byte(piece), nil
}

func (p *pieces) Close() error { return nil }

// An answer is read before its last byte is handed on, once, and passes as it is.
func TestReader(t *testing.T) {
	t.Parallel()
	large := strings.Repeat(" ", mostRead)
	for _, tt := range []struct {
		name   string
		pieces []string
		read   string
		before int // the piece that has not been handed on when it is read
	}{
		{"whole", []string{`{"id":"a"}`}, `{"id":"a"}`, 0},
		{"in pieces", []string{`{"a":{}`, `,"id":`, `"a"}`, "\n"}, `{"a":{},"id":"a"}`, 2},
		{"no JSON", []string{`a}`, `b`}, `a}b`, 2},
		{"too large", []string{`{"id":`, large, `"a"}`}, "", -1},
		{"empty", nil, "", 0},
	} {
		src := pieces(slices.Clone(tt.pieces))
		handed, reads, got := 0, 0, ""
		r := &reader{Stream: &src, read: func(body []byte) {
			reads++
			got = string(body)
			if handed != tt.before {
				t.Errorf("%s: read after %d pieces, want %d", tt.name, handed, tt.before)
			}
		}}
		var passed []string
		for {
			piece, err := r.Next()
			if err != nil {
				break
			}
			passed = append(passed, string(piece))
			handed++
		}
		if got != tt.read || reads > 1 || reads == 0 && tt.before >= 0 || !slices.Equal(passed, tt.pieces) {
			t.Errorf("%s: read %d times: %q; passed %q", tt.name, reads, got, passed)
		}
	}
}
