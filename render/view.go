package main

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const (
	// A kustomization that two others name is built twice, so a few files can ask for as many builds as there is time for.
	mostReads     = 20_000
	mostBytesRead = 256 << 20
)

var errReadOnly = errors.New("nothing is written here")

// view is one build's file system: a tree, nothing else, and a note of every file that was read or looked for.
type view struct {
	tree *tree
	// replaced are files with another content than the tree's, for this build alone.
	replaced  map[string][]byte
	read      map[string]bool
	lookedFor map[string]bool
	reads     int
	bytes     int
	guard     guard
	// marks are nil where nothing asks which files objects come from.
	marks *marks
}

func newView(of *tree, replaced map[string]string) *view {
	made := &view{tree: of, replaced: map[string][]byte{}, read: map[string]bool{}, lookedFor: map[string]bool{}}
	for name, text := range replaced {
		made.replaced[name] = []byte(text)
	}
	return made
}

// relative is a path from the repository's root: what climbs out of it arrives there.
func relative(name string) string { return path.Clean("/" + name)[1:] }

func (v *view) content(name string) ([]byte, bool) {
	if content, ok := v.replaced[name]; ok {
		return content, true
	}
	content, ok := v.tree.files[name]
	return content, ok
}

func (v *view) ReadFile(name string) ([]byte, error) {
	at := relative(name)
	content, ok := v.content(at)
	if !ok {
		v.lookedFor[at] = true
		return nil, &fs.PathError{Op: "open", Path: at, Err: fs.ErrNotExist}
	}
	v.read[at] = true
	v.reads++
	v.bytes += len(content)
	if v.reads > mostReads || v.bytes > mostBytesRead {
		return nil, v.guard.refuse(&failure{Kind: "limit", What: "reads"})
	}
	if problem := v.guard.check(v, at, v.tree.files[at]); problem != nil {
		return nil, v.guard.refuse(problem)
	}
	if v.marks != nil {
		return v.marks.content(at, content)
	}
	return content, nil
}

func (v *view) Exists(name string) bool { return v.isFile(name) || v.IsDir(name) }

func (v *view) IsDir(name string) bool { return v.tree.folders[relative(name)] }

func (v *view) isFile(name string) bool {
	at := relative(name)
	_, ok := v.content(at)
	if !ok && !v.tree.folders[at] {
		v.lookedFor[at] = true
	}
	return ok
}

func (v *view) CleanedAbs(name string) (filesys.ConfirmedDir, string, error) {
	at := "/" + relative(name)
	if v.IsDir(at) {
		return filesys.ConfirmedDir(at), "", nil
	}
	if v.isFile(at) {
		return filesys.ConfirmedDir(path.Dir(at)), path.Base(at), nil
	}
	return "", "", &fs.PathError{Op: "open", Path: at[1:], Err: fs.ErrNotExist}
}

func (v *view) paths() (read, lookedFor []string) {
	for name := range v.read {
		read = append(read, name)
	}
	for name := range v.lookedFor {
		lookedFor = append(lookedFor, name)
	}
	slices.Sort(read)
	slices.Sort(lookedFor)
	return read, lookedFor
}

// What a build does not do.

func (v *view) Create(string) (filesys.File, error)  { return nil, errReadOnly }
func (v *view) Mkdir(string) error                   { return errReadOnly }
func (v *view) MkdirAll(string) error                { return errReadOnly }
func (v *view) RemoveAll(string) error               { return errReadOnly }
func (v *view) WriteFile(string, []byte) error       { return errReadOnly }
func (v *view) Open(string) (filesys.File, error)    { return nil, errReadOnly }
func (v *view) ReadDir(string) ([]string, error)     { return nil, errReadOnly }
func (v *view) Glob(string) ([]string, error)        { return nil, errReadOnly }
func (v *view) Walk(string, filepath.WalkFunc) error { return errReadOnly }
