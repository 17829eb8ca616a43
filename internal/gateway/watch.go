package gateway

import (
	"crypto/sha256"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settleTime is how long a file has to be left alone before it is read: who writes it may
// do so in pieces.
const settleTime = 200 * time.Millisecond

// watch tells when the text of a configuration file is another one.
//
// It watches the directory, because editors and deployments put a new file in the place of
// the old one, and looks through symbolic links, of which deployments exchange the target.
type watch struct {
	*fsnotify.Watcher
	file   string
	target string            // that file leads to
	sum    [sha256.Size]byte // of the text that was read last
}

// watch returns a watch on the configuration file; nil where there is none, or where it
// cannot be watched.
func (m *machinery) watch() *watch {
	if m.first.File == "" {
		return nil
	}
	events, err := fsnotify.NewWatcher()
	if err == nil {
		if err = events.Add(filepath.Dir(m.first.File)); err != nil {
			_ = events.Close()
		}
	}
	if err != nil {
		m.logger.Warn("the configuration file cannot be watched: SIGHUP has it read again", "error", err)
		return nil
	}
	w := &watch{Watcher: events, file: filepath.Clean(m.first.File)}
	w.seen()
	return w
}

func (w *watch) close() { _ = w.Watcher.Close() }

// seen takes the file as it is now for read. It reports whether its text is another one
// than before.
func (w *watch) seen() (changed bool) {
	w.target, _ = filepath.EvalSymlinks(w.file)
	text, err := readFile(w.file)
	if err != nil {
		return false // it may be on its way
	}
	sum := sha256.Sum256(text)
	changed = sum != w.sum
	w.sum = sum
	return changed
}

// concerns reports whether e may have changed the file.
func (w *watch) concerns(e fsnotify.Event) bool {
	if filepath.Clean(e.Name) == w.file {
		return e.Op != fsnotify.Chmod
	}
	if !e.Has(fsnotify.Create) && !e.Has(fsnotify.Rename) && !e.Has(fsnotify.Remove) {
		return false // the ledger may be in the same directory
	}
	target, err := filepath.EvalSymlinks(w.file)
	return err == nil && target != w.target
}
