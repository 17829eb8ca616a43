package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
)

// DefaultFile is the configuration file that is read where none is named.
const DefaultFile = "llmproxy.yaml"

// 1 MiB: thousands of providers, or certificates. The parser needs many times a file's
// size.
const maxFile = 1 << 20

// Source says where a configuration comes from.
type Source struct {
	File   string // "": DefaultFile in the working directory, or the environment alone
	Listen string // takes the place of the file's listen; "" does not

	// LookupEnv finds environment variables; nil is os.LookupEnv.
	LookupEnv func(name string) (value string, ok bool)
}

// Load reads and checks the configuration. What is wrong with it is the error, of type
// [Faults] with every fault that could be found at once, or a [NoProvidersError].
func (s Source) Load() (*Config, error) {
	if s.LookupEnv == nil {
		s.LookupEnv = os.LookupEnv
	}
	name, text, err := s.read()
	if err != nil {
		return nil, err
	}
	return s.load(name, text)
}

// load makes a configuration of a file's text.
func (s Source) load(name string, text []byte) (*Config, error) {
	c, err := s.loadAny(name, text)
	if err == nil && len(c.Providers) == 0 {
		return nil, &NoProvidersError{File: name, Incomplete: c.Incomplete}
	}
	return c, err
}

// loadAny is load for a configuration that may have no providers.
func (s Source) loadAny(name string, text []byte) (*Config, error) {
	c, d := parse(name, text, s.LookupEnv)
	c.Ledger.URL = cmp.Or(c.Ledger.URL, defaultLedger)
	if name != "" {
		dir := filepath.Dir(name)
		c.Ledger = c.Ledger.relativeTo(dir)
		c.Pricing.Source = c.Pricing.Source.relativeTo(func(path string) string {
			if filepath.IsAbs(path) {
				return path
			}
			return filepath.Join(dir, path)
		})
		if c.Admin != nil {
			c.Admin.Listen = c.Admin.Listen.relativeTo(dir)
		}
		c.Listen, c.TLS = c.Listen.relativeTo(filepath.Dir(name)), c.TLS.relativeTo(filepath.Dir(name))
	}
	if s.Listen != "" {
		address, err := parseAddress(s.Listen)
		if err != nil {
			return nil, Faults{{Message: fmt.Sprintf("--listen: %q %v", s.Listen, err)}}
		}
		c.Listen = address
		// What is wrong with it is no longer the file's matter.
		d.keys["listen"], d.values["listen"] = shownPlace{}, shownPlace{}
	}
	if len(c.Providers) == 0 && !d.faultyBelow("providers") {
		c.addFromEnvironment(s.LookupEnv)
	}
	c.withDefaults()
	c.validate(d)
	if len(d.faults) > 0 {
		return nil, d.faults.sorted()
	}
	return c, nil
}

// read returns the file's name and text; "" and nothing where there is none.
func (s Source) read() (name string, text []byte, err error) {
	name = s.File
	if name == "" {
		name = DefaultFile
	}
	text, err = readFile(name)
	switch {
	case s.File == "" && errors.Is(err, fs.ErrNotExist):
		return "", nil, nil
	case errors.Is(err, errLarge):
		return "", nil, Faults{{File: name, Message: errLarge.Error()}}
	case err != nil:
		return "", nil, Faults{{File: name, Message: "cannot be read: " + reason(err)}}
	}
	return name, text, nil
}

var errLarge = errors.New("is larger than 1 MiB")

// readFile reads a file of at most maxFile bytes.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = errLarge
	}
	return text, err
}

// reason returns what is wrong with a file, without its name.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// parse decodes a file's text. The faults are in the decoder.
func parse(name string, text []byte, lookup lookupFunc) (*Config, *decoder) {
	c, d := &Config{File: name}, newDecoder(name, lookup)
	root, faults := parseYAML(text)
	for _, f := range faults {
		f.File = name
		d.faults = append(d.faults, f)
		d.faulty = append(d.faulty, "providers") // what is missing may stand there
	}
	if root != nil {
		d.decode(root, reflect.ValueOf(c).Elem(), "", true)
	}
	return c, d
}

// LoadAny is Load for commands that call no provider, and so need none.
func (s Source) LoadAny() (*Config, error) {
	if s.LookupEnv == nil {
		s.LookupEnv = os.LookupEnv
	}
	name, text, err := s.read()
	if err != nil {
		return nil, err
	}
	return s.loadAny(name, text)
}
