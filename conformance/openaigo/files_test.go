package openaigo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"testing"

	"github.com/openai/openai-go/v3"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
	"github.com/llmproxy/llmproxy/internal/simulator"
)

// unmetered is the record of a request for which no usage is ever reported.
func unmetered(api llmproxy.APIType) rig.Exchange {
	return rig.Exchange{API: api, Unreported: true}
}

func TestModels(t *testing.T) {
	t.Parallel()
	everywhere(t, plain, func(s *session) {
		page, err := s.Models.List(s.T.Context())
		s.Do(err)
		s.Hear(page.RawJSON())
		s.recorded(unmetered("models"))
		if want := simulator.DefaultModels(simulator.OpenAI); len(page.Data) != len(want) || page.Data[0].ID != want[0].ID {
			s.T.Errorf("got %s", page.RawJSON())
		}
		got, err := s.Models.Get(s.T.Context(), s.Model("gpt-5-mini"))
		s.Do(err)
		s.Hear(got.RawJSON())
		want := unmetered("models")
		if !s.Mount { // there the path is the provider's
			want.Model = "gpt-5-mini"
		}
		s.recorded(want)
		if got.ID != "gpt-5-mini" || got.OwnedBy != "system" {
			s.T.Errorf("got %s", got.RawJSON())
		}
	})
}

// contents are files of several sizes: one small, one of more than a piece, one that the
// provider does not keep.
func contents() map[string][]byte {
	c := map[string][]byte{"notes.txt": []byte("line one\r\nline two\r\n")}
	for name, size := range map[string]int64{"data.bin": 300_000, "long.bin": 2 << 20} {
		var b bytes.Buffer
		_, _ = io.Copy(&b, simulator.MadeFile(size))
		c[name] = b.Bytes()
	}
	return c
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestFiles(t *testing.T) {
	t.Parallel()
	for name, content := range contents() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, plain, func(s *session) {
				file, err := s.Files.New(s.T.Context(), openai.FileNewParams{
					File: openai.File(bytes.NewReader(content), name, "application/octet-stream"), Purpose: openai.FilePurposeUserData,
				})
				s.Do(err)
				s.Hear(file.RawJSON())
				s.recorded(unmetered("files"))
				if file.Filename != name || file.Bytes != int64(len(content)) || file.JSON.ExtraFields["sha256"].Raw() != `"`+hash(content)+`"` {
					s.T.Errorf("got %s", file.RawJSON())
				}
				again, err := s.Files.Get(s.T.Context(), file.ID)
				s.Do(err)
				s.Hear(again.RawJSON())
				s.recorded(unmetered("files"))
				page, err := s.Files.List(s.T.Context(), openai.FileListParams{Limit: openai.Int(7), Purpose: openai.String("user_data")})
				s.Do(err)
				s.Hear(page.RawJSON())
				s.recorded(unmetered("files"))
				if again.RawJSON() != file.RawJSON() || len(page.Data) != 1 || page.Data[0].RawJSON() != file.RawJSON() {
					s.T.Errorf("got %s and %s", again.RawJSON(), page.RawJSON())
				}
				if name == "long.bin" {
					return
				}
				s.content(file.ID, content)
			})
		})
	}
}

// An answer that is larger than anything that is held.
func TestFileContent(t *testing.T) {
	t.Parallel()
	want := contents()["long.bin"]
	everywhere(t, plain, func(s *session) { s.content("file-made-2097152", want) })
}

// content fetches a file.
func (s *session) content(id string, want []byte) {
	s.T.Helper()
	resp, err := s.Files.Content(s.T.Context(), id)
	s.Do(err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	s.Do(err)
	s.Hear(resp.Header.Get("Content-Type"), resp.Header.Get("Content-Disposition"), resp.Header.Get("Content-Length"), hash(got))
	s.recorded(unmetered("files"))
	if !bytes.Equal(got, want) {
		s.T.Errorf("%d bytes, want %d", len(got), len(want))
	}
}

// whisper is charged by the second, other models by the token.
const whisper = "whisper-1"

func TestTranscription(t *testing.T) {
	t.Parallel()
	recording := contents()["data.bin"]
	everywhere(t, plain, func(s *session) {
		for _, model := range []string{whisper, "gpt-4o-transcribe"} {
			got, err := s.Audio.Transcriptions.New(s.T.Context(), openai.AudioTranscriptionNewParams{
				Model: model, File: openai.File(bytes.NewReader(recording), "speech.wav", "audio/wav"), Prompt: openai.String("two words"),
			})
			s.Do(err)
			s.Hear(got.RawJSON())
			s.recorded(unmetered("audio"))
			if want := "Heard 300000 bytes of speech.wav."; got.Text != want {
				s.T.Errorf("%s: got %q, want %q", model, got.Text, want)
			}
			if model == whisper {
				if got.Usage.Type != "duration" || got.Usage.Seconds != 19 {
					s.T.Errorf("%s: got %s", model, got.RawJSON())
				}
			} else if u := got.Usage; u.Type != "tokens" || u.InputTokens != 192 || u.OutputTokens != 5 || u.InputTokenDetails.AudioTokens != 190 {
				s.T.Errorf("%s: got %s", model, got.RawJSON())
			}
		}
	})
}

func TestImages(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		params := openai.ImageGenerateParams{Model: s.Model("gpt-image-1"), Prompt: "a grey pixel", N: openai.Int(2)}
		got, err := s.Images.Generate(s.T.Context(), params)
		s.Do(err)
		s.Hear(got.RawJSON())
		if len(got.Data) != 2 || got.Usage.InputTokens != 3 || got.Usage.OutputTokens != 2*simulator.ImageTokens {
			s.T.Errorf("got %s", got.RawJSON())
		}
		s.recorded(rig.Exchange{API: llmproxy.APIImages, Model: "gpt-image-1"})

		params.N, params.PartialImages = openai.Int(1), openai.Int(2)
		var events []string
		for _, e := range listen(s, s.Images.GenerateStreaming(s.T.Context(), params)) {
			events = append(events, e.Type)
		}
		if len(events) != 3 || events[2] != "image_generation.completed" {
			s.T.Errorf("events %q", events)
		}
		s.recorded(rig.Exchange{API: llmproxy.APIImages, Model: "gpt-image-1", Transport: llmproxy.TransportSSE})
	})
}
