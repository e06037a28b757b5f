package main

// failure is why there is no result. The agent has the words for it; Text alone is kustomize's, and made of what came in.
type failure struct {
	// Kind is build, refused, remote, limit, panic or protocol, and of charts chart, values, template, sealed, random, hook or output; What says more where there are several of a kind.
	Kind   string `json:"kind"`
	What   string `json:"what,omitempty"`
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Text   string `json:"text,omitempty"`
}

func (f *failure) Error() string { return f.Kind + " " + f.What }

const longestText = 300

func shortened(text string) string {
	if len(text) <= longestText {
		return text
	}
	// kustomize wraps an error by its path, and the end is the cause
	return "…" + text[len(text)-longestText:]
}
