package main

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
)

const (
	mostQuestions = 32
	// mostSteps are calls, printed values and turns of loops, of all templates together.
	mostSteps = 5_000_000
	// deepestTemplates is how deep templates may execute one another, which takes this process' stack.
	deepestTemplates = 1000
	// longestResult is what one function may give, and mostResults all of them together, in bytes; a list's items count as listItem.
	longestResult = 8 << 20
	mostResults   = 1 << 30
	listItem      = 16
	noValue       = "<no value>"
	// setName is what Helm calls the text that tpl is given.
	setName = "gotpl"
)

// question is one about a value that is not known here. The chart is rendered as if Answer were right; who opens the value finds out.
type question struct {
	Op     string   `json:"op"`
	Args   []string `json:"args"`
	Answer bool     `json:"answer"`
	File   string   `json:"file"`
	Line   int      `json:"line"`
}

// refusal is an error with a name of ours and a place.
type refusal struct{ failure }

func (r *refusal) Error() string { return r.What + " " + r.Text }

// rendering is one render of one chart.
type rendering struct {
	rewriter
	functions   template.FuncMap
	expressions map[string]expression
	questions   []question
	asked       map[string]bool
	// known are placeholders of texts that are not empty.
	known map[string]bool
	// made are values that templates make up, by placeholder, files what templates that are files see, scopes what is being executed.
	made   map[string]made
	files  map[string]map[string]any
	scopes []scope
	// clock says whether templates asked for the time.
	clock bool
	// texts are the calls of tpl that are being executed: what it is given has no place of its own.
	texts    []int
	steps    int
	results  int
	depth    int
	hashed   int
	deadline time.Time
}

func newRendering(now, deadline time.Time, known []string) *rendering {
	r := &rendering{
		rewriter:    rewriter{done: map[*parse.Tree]bool{}},
		expressions: map[string]expression{}, asked: map[string]bool{}, known: map[string]bool{}, deadline: deadline,
		made: map[string]made{}, files: map[string]map[string]any{},
	}
	for _, each := range known {
		r.known[each] = true
	}
	r.functions = template.FuncMap{}
	for name, each := range helmFunctions(func() time.Time {
		r.clock = true
		return now
	}) {
		r.functions[name] = r.guarded(name, reflect.ValueOf(each)).Interface()
	}
	r.functions[seenFunction] = r.seen
	r.functions[truthFunction] = r.truth
	return r
}

// withTemplates are the functions that execute templates of one set, as Helm binds them.
func (r *rendering) withTemplates(set *template.Template) {
	set.Funcs(template.FuncMap{
		"include":        func(at int, name string, data any) (string, error) { return r.include(set, at, name, data) },
		templateFunction: func(at int, name string, data ...any) (string, error) { return r.include(set, at, name, first(data)) },
		"tpl":            func(at int, text string, data any) (string, error) { return r.tpl(set, at, text, data) },
	})
}

func first(data []any) any {
	if len(data) == 0 {
		return nil
	}
	return data[0]
}

func (r *rendering) place(at int) (file string, line int) {
	location, _ := r.sites[at].tree.ErrorContext(r.sites[at].node)
	if file, line = placed(location); file == setName && len(r.texts) > 0 && r.texts[0] != at {
		return r.place(r.texts[0])
	}
	return file, line
}

// placed reads name:line:column.
func placed(location string) (file string, line int) {
	parts := strings.Split(location, ":")
	if len(parts) < 3 {
		return location, 0
	}
	line, _ = strconv.Atoi(parts[len(parts)-2])
	return strings.Join(parts[:len(parts)-2], ":"), line
}

func (r *rendering) refuse(at int, kind, what, text string) error {
	file, line := r.place(at)
	return &refusal{failure{Kind: kind, What: what, Text: text, File: file, Line: line}}
}

// step counts, and says where it is too much.
func (r *rendering) step(at int) error {
	r.steps++
	if r.steps > mostSteps {
		return r.refuse(at, "limit", "steps", "")
	}
	if r.steps%1024 == 0 && time.Now().After(r.deadline) {
		return r.refuse(at, "limit", "seconds", "")
	}
	return nil
}

func (r *rendering) took(at, size int) error {
	r.results += size
	if size > longestResult || r.results > mostResults {
		return r.refuse(at, "limit", "result", "")
	}
	return nil
}

// seen is every value that is printed, and every turn of a loop.
func (r *rendering) seen(at int, values ...any) (any, error) {
	if err := r.step(at); err != nil {
		return nil, err
	}
	if len(values) == 0 {
		return "", nil
	}
	switch value := values[0].(type) {
	case kubeVersion:
		return &value, nil // a field of a pointer has the methods of one where a template prints it
	case []byte:
		if isMarked(string(value)) {
			return nil, r.refuse(at, "sealed", "printing bytes", "")
		}
	case string:
		return value, r.took(at, len(value))
	}
	return values[0], nil
}

// truth is every value that a template asks for its truth.
func (r *rendering) truth(at int, value any) (any, error) {
	if err := r.step(at); err != nil {
		return nil, err
	}
	_, err := r.isTrue(at, value)
	return value, err
}

func (r *rendering) isTrue(at int, value any) (bool, error) {
	if text, ok := value.(string); ok && isMarked(text) {
		return true, r.askText(at, "truth", text)
	}
	found, _ := template.IsTrue(value)
	return found, nil
}

// askText asks whether a text is true, not empty, or text at all, as it is here. One with clear text in it is, whatever the value.
func (r *rendering) askText(at int, op, text string) error {
	if made := r.expressions[text]; made.op == "indent" {
		text = made.args[0]
	}
	clear, _ := pieces(text)
	if r.known[text] || strings.Join(clear, "") != "" {
		return nil
	}
	return r.ask(at, true, op, text)
}

func (r *rendering) ask(at int, answer bool, op string, args ...string) error {
	key := fmt.Sprintf("%s %q %t", op, args, answer)
	if r.asked[key] {
		return nil
	}
	if len(r.questions) == mostQuestions {
		return r.refuse(at, "limit", "questions", "")
	}
	file, line := r.place(at)
	r.asked[key] = true
	r.questions = append(r.questions, question{op, args, answer, file, line})
	return nil
}

// written is the text that stands for what an operation gives.
func (r *rendering) written(op string, args ...string) string {
	made := expression{op, args}
	placeholder := made.placeholder()
	r.expressions[placeholder] = made
	return placeholder
}

func (r *rendering) include(set *template.Template, at int, name string, data any) (string, error) {
	if isMarked(name) {
		return "", r.refuse(at, "sealed", "include", "")
	}
	return r.execute(at, name, data, func(to *bounded) error { return set.ExecuteTemplate(to, name, data) })
}

func (r *rendering) execute(at int, name string, data any, how func(*bounded) error) (string, error) {
	if err := r.step(at); err != nil {
		return "", err
	}
	if r.depth >= deepestTemplates {
		return "", r.refuse(at, "limit", "depth of templates", "")
	}
	r.depth++
	defer func() { r.depth-- }()
	defer r.enter(at, name, data)()
	var to bounded
	if err := how(&to); err != nil {
		if errors.Is(err, errLong) {
			return "", r.refuse(at, "limit", "result", "")
		}
		return "", err
	}
	return to.String(), r.took(at, to.Len())
}

func (r *rendering) tpl(set *template.Template, at int, text string, data any) (string, error) {
	if !strings.Contains(text, "{{") {
		return strings.ReplaceAll(text, noValue, ""), r.step(at)
	}
	r.steps += 1 + len(text)/64 // it is parsed
	copied, err := set.Clone()
	if err != nil {
		return "", err
	}
	copied.Option("missingkey=zero")
	r.withTemplates(copied)
	made, err := copied.New(set.Name()).Parse(text)
	if err != nil {
		return "", fmt.Errorf("cannot parse the template that tpl is given: %w", err)
	}
	for _, each := range copied.Templates() {
		if isMarked(text) && !r.done[each.Tree] && markedNames(each.Tree) {
			return "", r.refuse(at, "sealed", "tpl", "")
		}
		r.rewrite(each.Tree)
	}
	r.texts = append(r.texts, at)
	defer func() { r.texts = r.texts[:len(r.texts)-1] }()
	given, err := r.execute(at, setName, data, func(to *bounded) error { return made.Execute(to, data) })
	return strings.ReplaceAll(given, noValue, ""), err
}

// markedNames says whether a placeholder stands among the names of a template, where it would look for another field than Helm does.
func markedNames(tree *parse.Tree) bool {
	if tree == nil || tree.Root == nil {
		return false
	}
	for rest := tree.Root.String(); ; {
		_, action, found := strings.Cut(rest, "{{")
		if !found {
			return false
		}
		action, rest, _ = strings.Cut(action, "}}")
		if isMarked(action) {
			return true
		}
	}
}

var errLong = errors.New("longer than a result may be")

// bounded is what a template writes to.
type bounded struct{ strings.Builder }

func (b *bounded) Write(text []byte) (int, error) {
	if b.Len()+len(text) > longestResult {
		return 0, errLong
	}
	return b.Builder.Write(text)
}
