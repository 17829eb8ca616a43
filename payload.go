package llmproxy

import (
	"io"
	"sync"

	"github.com/llmproxy/llmproxy/wire"
)

// payload is a request body that can be sent again until it is released. Releasing it
// early matters: a transport keeps the request for as long as its answer streams, and a
// prompt may be large.
type payload struct {
	mu    sync.Mutex // guards both
	text  []byte
	edits []wire.Edit
	size  int64
}

func newPayload(text []byte, edits []wire.Edit) *payload {
	p := &payload{text: text, edits: edits, size: int64(len(text))}
	for _, e := range edits {
		p.size += int64(len(e.New) - (e.End - e.Start))
	}
	return p
}

// open returns a reader of the spliced body. It fails after release.
func (p *payload) open() (io.ReadCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.text == nil {
		return nil, errClosed
	}
	return &payloadReader{r: wire.NewReader(p.text, p.edits)}, nil
}

// release lets go of the text. Readers that are open keep theirs until they are closed.
func (p *payload) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text, p.edits = nil, nil
}

// payloadReader drops the text when it is closed, which the transport may do while
// another of its goroutines still reads.
type payloadReader struct {
	mu sync.Mutex // guards r
	r  *wire.Reader
}

func (p *payloadReader) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.r == nil {
		return 0, errClosed
	}
	return p.r.Read(b)
}

func (p *payloadReader) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.r = nil
	return nil
}
