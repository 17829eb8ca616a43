package simulator

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	maxKeptFile  = 1 << 20 // bytes of an uploaded file that can be fetched again
	maxKeptFiles = 32      // of which so many are kept
	maxMadeFile  = 4 << 30 // bytes of a file that is made up
)

type fileObject struct {
	ID        string `json:"id"`
	Object    string `json:"object"`
	Bytes     int64  `json:"bytes"`
	CreatedAt int64  `json:"created_at"`
	Filename  string `json:"filename"`
	Purpose   string `json:"purpose"`
	Status    string `json:"status"`
	SHA256    string `json:"sha256"`
}

// fileStore keeps the files that were uploaded last.
type fileStore struct {
	mu    sync.Mutex
	files []storedFile // guarded by mu, the oldest first
}

type storedFile struct {
	object  fileObject
	content []byte // nil: too large to keep
}

func (st *fileStore) put(f storedFile) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.files = slices.DeleteFunc(st.files, func(old storedFile) bool { return old.object.ID == f.object.ID })
	st.files = append(st.files, f)
	if len(st.files) > maxKeptFiles {
		st.files = slices.Delete(st.files, 0, 1)
	}
}

func (st *fileStore) all() []storedFile {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Clone(st.files)
}

func (st *fileStore) get(id string) (storedFile, error) {
	for _, f := range st.all() {
		if f.object.ID == id {
			return f, nil
		}
	}
	return storedFile{}, notFound("", "id", "No such File object: %s", id)
}

// upload takes a file and answers with its size and its hash.
func (s *Server) upload(c *call) (reply, error) {
	f, err := c.readForm()
	if err != nil {
		return reply{}, err
	}
	if f.values["purpose"] == "" {
		return reply{}, missing("purpose")
	}
	object := fileObject{
		ID: c.digest.id("file-", 0), Object: "file", Bytes: f.size, CreatedAt: c.digest.time(),
		Filename: f.filename, Purpose: f.values["purpose"], Status: "processed", SHA256: f.sha256(),
	}
	s.files.put(storedFile{object, f.content})
	return jsonReply(http.StatusOK, object), nil
}

func (s *Server) listFiles(*call) (reply, error) {
	list := struct {
		Object  string       `json:"object"`
		Data    []fileObject `json:"data"`
		HasMore bool         `json:"has_more"`
	}{"list", []fileObject{}, false}
	for _, f := range s.files.all() {
		list.Data = append(list.Data, f.object)
	}
	return jsonReply(http.StatusOK, list), nil
}

func (s *Server) retrieveFile(c *call) (reply, error) {
	f, err := s.files.get(c.params["id"])
	if err != nil {
		return reply{}, err
	}
	return jsonReply(http.StatusOK, f.object), nil
}

// fileContent gives the bytes of a file. The file file-made-N has the N bytes of
// [MadeFile].
func (s *Server) fileContent(c *call) (reply, error) {
	id := c.params["id"]
	if n, ok := strings.CutPrefix(id, "file-made-"); ok {
		size, err := strconv.ParseInt(n, 10, 64)
		if err == nil && size >= 0 && size <= maxMadeFile {
			rep := bytesReply(http.StatusOK, "application/octet-stream", nil)
			rep.body, rep.size = MadeFile(size), size
			return rep, nil
		}
	}
	f, err := s.files.get(id)
	if err != nil {
		return reply{}, err
	}
	if f.content == nil {
		return reply{}, notFound("", "id", "The content of %s was not kept.", id)
	}
	rep := bytesReply(http.StatusOK, "application/octet-stream", f.content)
	rep.header.Set("Content-Disposition", `attachment; filename="`+safeName(f.object.Filename)+`"`)
	return rep, nil
}

// safeName returns name without what would end a quoted string.
func safeName(name string) string { return strings.NewReplacer(`"`, "", `\`, "").Replace(name) }

// MadeFile returns size bytes that repeat only every 251: what file-made-N holds.
func MadeFile(size int64) io.Reader { return io.LimitReader(&counter{}, size) }

type counter struct{ next int }

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c.next)
		c.next = (c.next + 1) % 251
	}
	return len(p), nil
}
