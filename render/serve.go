package main

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"sigs.k8s.io/kustomize/api/provenance"
)

// request is one of the operations; another one is a field here and a line in answer.
type request struct {
	Hello     *struct{}         `json:"hello,omitempty"`
	Put       *putRequest       `json:"put,omitempty"`
	Kustomize *kustomizeRequest `json:"kustomize,omitempty"`
	Helm      *helmRequest      `json:"helm,omitempty"`

	// Seconds until this process ends itself: for an agent that is gone.
	Seconds int `json:"seconds"`
}

// putRequest brings files, by their path in the repository. Digest names them afterwards.
type putRequest struct {
	Digest string            `json:"digest"`
	Files  map[string]string `json:"files"`
	// Binary files are base64: JSON holds no other bytes than UTF-8.
	Binary map[string][]byte `json:"binary,omitempty"`
}

type answer struct {
	Hello *hello `json:"hello,omitempty"`
	// Need names a tree that is not kept any more: put it, and ask again.
	Need string `json:"need,omitempty"`
	// Objects follow the answer: see lines.
	Objects []object `json:"-"`
	// Read are the files that the result depends on, LookedFor those whose absence it depends on.
	Read      []string `json:"read,omitempty"`
	LookedFor []string `json:"lookedFor,omitempty"`
	// Expressions are operations on sealed values by their placeholders, each with its arguments behind it.
	Expressions map[string][]string `json:"expressions,omitempty"`
	// Questions were answered for placeholders. They have to be asked of the values, and the result does not hold where one differs.
	Questions []question `json:"questions,omitempty"`
	// Generated are values that templates make up, by placeholder. The caller makes them when it opens the values, and keeps them.
	Generated map[string]made `json:"generated,omitempty"`
	// Asked are the API versions that templates asked for. The result depends on whether they are served.
	Asked map[string]bool `json:"asked,omitempty"`
	// Clock says whether templates asked for the time.
	Clock bool `json:"clock,omitempty"`
	// Skipped are the files of hooks that were left out because the request says so.
	Skipped []string `json:"skipped,omitempty"`
	// Elsewhere are those of hooks for tests, rollbacks and the end of a release, which are always left out.
	Elsewhere []string `json:"elsewhere,omitempty"`
	// Release says whether templates may have asked whether the release is installed or upgraded.
	Release bool `json:"release,omitempty"`
	// Notes are what the chart tells its user, without placeholders; NotesFailed: its template for them fails.
	Notes       string   `json:"notes,omitempty"`
	NotesFailed bool     `json:"notesFailed,omitempty"`
	Error       *failure `json:"error,omitempty"`
}

type hello struct {
	Build     string `json:"build"`
	Kustomize string `json:"kustomize"`
	Confined  string `json:"confined,omitempty"`
}

func itself(confined string) *hello {
	return &hello{Build: build, Kustomize: provenance.GetProvenance().Semver(), Confined: confined}
}

type object struct {
	// File is the resource's file, or the kustomization that generates it; empty where it was not asked for.
	File   string          `json:"file"`
	Object json.RawMessage `json:"object"`
}

// earlier is how long before the agent's patience ends a chart is given up, such that it can be said where it was.
const earlier = 7 * time.Second

// server is what is kept from one request to the next.
type server struct {
	confined string
	trees    trees
	dog      *watchdog
}

func newServer(confined string, dog *watchdog) *server {
	return &server{confined: confined, dog: dog}
}

func serve(from io.Reader, to io.Writer, s *server) error {
	for {
		body, err := readFrame(from)
		if err != nil {
			return err
		}
		var asked request
		var given answer
		if err := json.Unmarshal(body, &asked); err != nil {
			given.Error = &failure{Kind: "protocol"}
		} else {
			given = s.answer(&asked)
		}
		out, err := given.lines()
		if err != nil {
			return err
		}
		if err := writeFrame(to, out); err != nil {
			return err
		}
		s.dog.rest()
	}
}

// lines are the answer and, a line each, its objects, so that none of what has to be read at once is large.
func (a *answer) lines() ([]byte, error) {
	out, err := json.Marshal(a)
	for _, each := range a.Objects {
		line, failed := json.Marshal(each)
		out, err = append(append(out, '\n'), line...), errors.Join(err, failed)
	}
	return out, err
}

func (s *server) answer(asked *request) (given answer) {
	s.dog.until(time.Duration(asked.Seconds) * time.Second)
	defer func() {
		if recover() != nil { // a defect of a library must not end what other Applications wait for
			given = answer{Error: &failure{Kind: "panic"}}
		}
	}()
	switch {
	case asked.Hello != nil:
		return answer{Hello: itself(s.confined)}
	case asked.Put != nil:
		if problem := s.trees.put(asked.Put); problem != nil {
			return answer{Error: problem}
		}
		return answer{}
	case asked.Kustomize != nil:
		found := s.trees.get(asked.Kustomize.Tree)
		if found == nil {
			return answer{Need: asked.Kustomize.Tree}
		}
		return kustomize(found, asked.Kustomize)
	case asked.Helm != nil:
		found := s.trees.get(asked.Helm.Tree)
		if found == nil {
			return answer{Need: asked.Helm.Tree}
		}
		return helm(found, asked.Helm, time.Now().Add(time.Duration(asked.Seconds)*time.Second-earlier))
	}
	return answer{Error: &failure{Kind: "protocol"}}
}
