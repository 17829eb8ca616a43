package llmproxy

import (
	"io"
	"sync"

	"github.com/llmproxy/llmproxy/wire"
)

// payload is a request body that can be opened again until it is released. A transport
// keeps the request for as long as its answer streams, and a prompt may be large: so it
// keeps a payload, which lets go of the text.
type payload struct {
	mu    sync.Mutex // guards the following
	body  *Body      // nil after release
	edits []wire.Edit
	size  int64
}

func newPayload(b *Body, edits []wire.Edit) *payload {
	p := &payload{body: b, edits: edits, size: int64(len(b.bytes))}
	for _, e := range edits {
		p.size += int64(len(e.New) - (e.End - e.Start))
	}
	return p
}

// open returns a reader of the spliced body. It fails after release.
func (p *payload) open() (io.ReadCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.body == nil || !p.body.acquire() {
		return nil, errClosed
	}
	return &payloadReader{body: p.body, r: wire.NewReader(p.body.bytes, p.edits)}, nil
}

// release lets go of the text. Readers that are open keep theirs until they are closed.
func (p *payload) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.body, p.edits = nil, nil
}

// payloadReader lets go of the text when it is closed, which a transport may do while
// another of its goroutines still reads.
type payloadReader struct {
	mu   sync.Mutex // guards both
	body *Body
	r    *wire.Reader // nil once closed
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
	if p.r != nil {
		p.r = nil
		p.body.release()
	}
	return nil
}
