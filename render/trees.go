package main

import (
	"path"
	"slices"
	"strings"
)

const (
	// keptBytes is what all trees together may take: more, and those that were asked for longest ago go.
	keptBytes    = 64 << 20
	mostFiles    = 50_000
	deepestPaths = 64
)

// tree is the files of a repository, by path from its root without a leading slash, and the folders that they make.
type tree struct {
	digest  string
	files   map[string][]byte
	folders map[string]bool
	size    int
}

func newTree(put *putRequest) (*tree, *failure) {
	if len(put.Files)+len(put.Binary) > mostFiles {
		return nil, &failure{Kind: "limit", What: "files"}
	}
	made := &tree{digest: put.Digest, files: make(map[string][]byte, len(put.Files)), folders: map[string]bool{"": true}}
	for name, text := range put.Files {
		made.files[name] = []byte(text)
	}
	for name, content := range put.Binary {
		made.files[name] = content
	}
	for name, content := range made.files {
		if name == "" || path.Clean("/" + name)[1:] != name || strings.Count(name, "/") > deepestPaths {
			return nil, &failure{Kind: "limit", What: "path", File: name}
		}
		made.size += len(name) + len(content)
		for folder := path.Dir(name); folder != "." && !made.folders[folder]; folder = path.Dir(folder) {
			made.folders[folder] = true
		}
	}
	for name := range made.files {
		if made.folders[name] {
			return nil, &failure{Kind: "limit", What: "path", File: name}
		}
	}
	if made.size > keptBytes {
		return nil, &failure{Kind: "limit", What: "tree bytes"}
	}
	return made, nil
}

// trees are the newest ones, the last asked for at the end.
type trees struct{ kept []*tree }

func (t *trees) put(asked *putRequest) *failure {
	made, problem := newTree(asked)
	if problem != nil {
		return problem
	}
	t.kept = slices.DeleteFunc(t.kept, func(each *tree) bool { return each.digest == asked.Digest })
	t.kept = append(t.kept, made)
	size := 0
	for _, each := range t.kept {
		size += each.size
	}
	for size > keptBytes {
		size -= t.kept[0].size
		t.kept[0] = nil
		t.kept = t.kept[1:]
	}
	return nil
}

func (t *trees) get(digest string) *tree {
	at := slices.IndexFunc(t.kept, func(each *tree) bool { return each.digest == digest })
	if at < 0 {
		return nil
	}
	found := t.kept[at]
	t.kept = append(slices.Delete(t.kept, at, at+1), found)
	return found
}
