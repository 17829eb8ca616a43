package simulator

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"mime"
	"mime/multipart"
)

// maxFormValue bounds a form field that is no file, in bytes.
const maxFormValue = 64 << 10

// form is a multipart request, of which the file has been read but not kept.
type form struct {
	values   map[string]string
	filename string
	size     int64
	sum      [sha256.Size]byte
	content  []byte // the file, if it has at most maxKeptFile bytes
}

func (f *form) sha256() string { return hex.EncodeToString(f.sum[:]) }

// readForm reads c's body to its end, piece by piece as it arrives, and derives c's
// digest from the file.
func (c *call) readForm() (*form, error) {
	f, err := c.parseForm()
	if _, drainErr := io.Copy(io.Discard, c.reader); drainErr != nil {
		return nil, bodyError(drainErr)
	}
	if err != nil {
		return nil, err
	}
	c.digest = digestOf(c.operation, f.sum[:])
	return f, nil
}

func (c *call) parseForm() (*form, error) {
	kind, params, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return nil, badRequest("", "", "The request must be multipart/form-data with a boundary.")
	}
	f := &form{values: map[string]string{}, size: -1}
	parts := multipart.NewReader(c.reader, params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = f.add(part)
		}
		if err != nil {
			return nil, formError(err)
		}
	}
	if f.size < 0 {
		return nil, missing("file")
	}
	return f, nil
}

// formError returns the fault of a form that does not parse.
func formError(err error) error {
	if err := bodyError(err); isFault(err) {
		return err
	}
	return badRequest("", "", "The multipart body is broken.")
}

func (f *form) add(part *multipart.Part) error {
	if part.FormName() != "file" {
		value, err := io.ReadAll(io.LimitReader(part, maxFormValue))
		f.values[part.FormName()] = string(value)
		return err
	}
	f.filename = part.FileName()
	hash := sha256.New()
	head := bytes.NewBuffer([]byte{})
	kept, err := io.Copy(io.MultiWriter(hash, head), io.LimitReader(part, maxKeptFile))
	if err != nil {
		return err
	}
	rest, err := io.Copy(hash, part)
	if err != nil {
		return err
	}
	f.size, f.sum = kept+rest, [sha256.Size]byte(hash.Sum(nil))
	if rest == 0 {
		f.content = head.Bytes()
	}
	return nil
}
