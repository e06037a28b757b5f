package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Guards of functions whose result is written down: an operation that is done when the values are opened.

// alphabets are those of operations whose results need no quotes and no escape.
var alphabets = map[string]string{
	"b64enc": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", "b32enc": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567=",
	"sha1sum": "0123456789abcdef", "sha256sum": "0123456789abcdef", "sha512sum": "0123456789abcdef",
	"bcrypt": "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz$",
}

// isEscaped says whether a text holds a value as it is written between quotes.
func (r *rendering) isEscaped(text string) bool {
	_, found := pieces(text)
	return slices.ContainsFunc(found, func(each string) bool {
		made := r.expressions[each]
		return isEscape(made.op) || made.op != "" && !isEncoded(made.op) && r.isEscaped(made.args[0])
	})
}

func isEscape(op string) bool { return op == "json" || op == "rawjson" || op == "goquote" }

func isEncoded(op string) bool { return alphabets[op] != "" }

// isPlain says whether a text is one placeholder that no quotes and none of these characters can change.
func (r *rendering) isPlain(text, characters string) bool {
	alphabet := alphabets[r.expressions[text].op]
	return alphabet != "" && !strings.ContainsAny(characters, alphabet)
}

// indented stands for a value whose lines but the first are moved right.
func (r *rendering) indented(placeholder string, spaces int) string {
	made := r.expressions[placeholder]
	switch {
	case isEscape(made.op) || isEncoded(made.op) || made.op == "urlquery" || spaces <= 0:
		return placeholder
	case made.op == "indent":
		before, _ := strconv.Atoi(made.args[1])
		return r.written("indent", made.args[0], strconv.Itoa(before+spaces))
	}
	return r.written("indent", placeholder, strconv.Itoa(spaces))
}

func asText(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case []byte:
		return string(value)
	}
	return fmt.Sprint(value)
}

func quoted(c *call) (any, bool, error) {
	if !isMarkedBelow(c.args) {
		return nil, false, nil
	}
	var made []string
	for _, each := range c.args {
		if each != nil {
			made = append(made, c.r.quoted(asText(each)))
		}
	}
	return strings.Join(made, " "), true, nil
}

func (r *rendering) quoted(text string) string {
	switch {
	case !isMarked(text):
		return fmt.Sprintf("%q", text)
	case r.isPlain(text, `"\`):
		return `"` + text + `"`
	}
	return `"` + r.written("goquote", text) + `"`
}

// formatted is printf, where values are put in as they are or in quotes.
func formatted(c *call) (any, bool, error) {
	if !isMarkedBelow(c.args) {
		return nil, false, nil
	}
	format := c.text(0)
	if isMarked(format) {
		return nil, false, c.refuse()
	}
	values, number := slices.Clone(c.args[1:]), 0
	var made strings.Builder
	for {
		before, rest, found := strings.Cut(format, "%")
		made.WriteString(before)
		if !found {
			return fmt.Sprintf(made.String(), values...), true, nil
		}
		options := rest[:len(rest)-len(strings.TrimLeft(rest, "+-# 0123456789.[]*"))]
		verb := rest[len(options):min(len(rest), len(options)+1)]
		format = rest[len(options)+len(verb):]
		if strings.ContainsAny(options, "[*") {
			return nil, false, c.refuse()
		}
		if verb != "%" && number < len(values) {
			if isMarkedBelow(values[number]) {
				text, isText := values[number].(string)
				switch {
				case options != "" || !strings.Contains("svq", verb) || verb == "q" && !isText:
					return nil, false, c.refuse()
				case verb == "q":
					verb, values[number] = "s", c.r.quoted(text)
				}
			}
			number++
		}
		made.WriteString("%" + options + verb)
	}
}

// serialized is a value with placeholders in the place of its texts with sealed values, and these.
func (c *call) serialized(op string) (value any, made map[string]bool, err error) {
	if len(c.args) != 1 || keysMarked(reflect.ValueOf(c.args[0]), deepestValue) {
		return nil, nil, c.refuse()
	}
	made = map[string]bool{}
	return mappedTexts(c.args[0], deepestValue, func(text string) string {
		if !isMarked(text) {
			return text
		}
		placeholder := c.r.written(op, text)
		made[placeholder] = true
		return placeholder
	}), made, nil
}

func keysMarked(value reflect.Value, depth int) bool {
	if depth == 0 {
		return true
	}
	switch value.Kind() {
	case reflect.Interface, reflect.Pointer:
		return !value.IsNil() && keysMarked(value.Elem(), depth-1)
	case reflect.Slice:
		for at := range value.Len() {
			if keysMarked(value.Index(at), depth-1) {
				return true
			}
		}
	case reflect.Map:
		for each := value.MapRange(); each.Next(); {
			if isMarkedWithin(each.Key(), depth-1) || keysMarked(each.Value(), depth-1) {
				return true
			}
		}
	}
	return false
}

func yamlText(c *call) (any, bool, error) {
	if !isMarkedBelow(c.args) {
		return nil, false, nil
	}
	value, made, err := c.serialized("json")
	if err != nil {
		return nil, false, err
	}
	write := asYAML
	if c.name == "toYamlPretty" {
		write = asIndentedYAML
	}
	text, err := write(value)
	if err != nil {
		return nil, false, err
	}
	return placeholders.ReplaceAllStringFunc(text, func(each string) string {
		if made[each] {
			return `"` + each + `"`
		}
		return each
	}), true, nil
}

func jsonText(c *call) (any, bool, error) { return c.json("json", true) }

func rawJSONText(c *call) (any, bool, error) { return c.json("rawjson", false) }

func (c *call) json(op string, escapes bool) (any, bool, error) {
	if !isMarkedBelow(c.args) {
		return nil, false, nil
	}
	value, _, err := c.serialized(op)
	if err != nil {
		return nil, false, err
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(escapes)
	if strings.Contains(c.name, "Pretty") {
		encoder.SetIndent("", "  ")
	}
	err = encoder.Encode(value)
	return strings.TrimSuffix(text.String(), "\n"), true, err
}

// bared is what a reader gives, which takes quotes away, and what is escaped within them.
func bared(c *call) (any, bool, error) {
	if !isMarked(c.text(0)) {
		return nil, false, nil
	}
	read, err := c.read()
	if err != nil {
		// It may be one for the value.
		return nil, false, c.refuse()
	}
	if keysMarked(reflect.ValueOf(read), deepestValue) {
		return nil, false, c.refuse()
	}
	var failed error
	made := mappedTexts(read, deepestValue, func(text string) string {
		text, err := c.bare(text)
		if err != nil {
			failed = err
		}
		return text
	})
	return made, true, failed
}

func (c *call) read() (read any, err error) {
	text := c.text(0)
	switch c.name {
	case "fromYaml":
		return readYAML[map[string]any](text)
	case "fromYamlArray":
		return readYAML[[]any](text)
	case "fromJsonArray":
		return readJSON[[]any](text)
	default:
		// sprig's reads any value, Helm's a map
		err = json.Unmarshal([]byte(text), &read)
		return read, err
	}
}

func (c *call) bare(text string) (string, error) {
	clear, found := pieces(text)
	var made strings.Builder
	for at, each := range found {
		made.WriteString(clear[at])
		opens, closes := strings.HasSuffix(clear[at], `"`), strings.HasPrefix(clear[at+1], `"`)
		if made := c.r.expressions[each]; made.op == "indent" {
			// as far as it stands in what was read
			_, line, isBelow := cutLast(clear[at], "\n")
			each = made.args[0]
			if isBelow && strings.Trim(line, " ") == "" {
				each = c.r.indented(each, len(line))
			}
		} else if isEscape(made.op) {
			if opens != closes {
				return "", c.refuse()
			}
			if !opens {
				each = made.args[0]
			}
		}
		made.WriteString(each)
	}
	made.WriteString(clear[len(clear)-1])
	text = made.String()
	// A block of YAML has one line break at its end, however many the value has.
	if value := strings.TrimRight(text, "\n"); len(value) < len(text) && isPlaceholder(value) {
		return c.r.written("clip", value, text[len(value):]), nil
	}
	return text, nil
}

func cutLast(text, separator string) (before, after string, found bool) {
	if at := strings.LastIndex(text, separator); at >= 0 {
		return text[:at], text[at+len(separator):], true
	}
	return "", text, false
}

// wholeText takes all of a text as bytes.
func wholeText(c *call) (any, bool, error) {
	if text := c.text(0); isMarked(text) {
		return c.r.written(c.name, text), true, nil
	}
	return nil, false, nil
}

func decodedText(c *call) (any, bool, error) {
	text := c.text(0)
	if !isMarked(text) {
		return nil, false, nil
	}
	if made := c.r.expressions[text]; made.op == strings.Replace(c.name, "dec", "enc", 1) {
		return made.args[0], true, nil
	}
	return ofText(c)
}

// ofText is an operation on its last value. The others are clear, and become text.
func ofText(c *call) (any, bool, error) {
	if !isMarkedBelow(c.args) {
		return nil, false, nil
	}
	text, isText := c.last().(string)
	if !isText || isMarkedBelow(c.args[:len(c.args)-1]) || c.r.isEscaped(text) || c.name == "urlquery" && len(c.args) > 1 {
		return nil, false, c.refuse()
	}
	args := []string{text}
	for _, each := range c.args[:len(c.args)-1] {
		args = append(args, fmt.Sprint(each))
	}
	return c.r.written(c.name, args...), true, nil
}

// trimmed leaves the values alone where clear text stands at the ends that may be cut.
func trimmed(c *call) (any, bool, error) {
	text, isText := c.last().(string)
	if !isText || !isMarked(text) {
		return refused(c)
	}
	clear, found := pieces(text)
	head, tail := clear[0], clear[len(clear)-1]
	cut := c.text(0)
	switch c.name {
	case "trimPrefix":
		if len(head) >= len(cut) || !strings.HasPrefix(cut, head) {
			return nil, false, nil
		}
	case "trimSuffix":
		if len(tail) >= len(cut) || !strings.HasSuffix(cut, tail) {
			return nil, false, nil
		}
	default:
		return c.trimmedEnds(clear, found)
	}
	return ofText(c)
}

func (c *call) trimmedEnds(clear, found []string) (any, bool, error) {
	cut := " \t\n\v\f\r\u0085\u00a0"
	if c.name != "trim" {
		cut = c.text(0)
	}
	head, tail := strings.TrimLeft(clear[0], cut), strings.TrimRight(clear[len(clear)-1], cut)
	opens := head != "" || c.r.isPlain(found[0], cut)
	closes := tail != "" || c.r.isPlain(found[len(found)-1], cut)
	if !opens || !closes {
		if c.name == "trimall" {
			c.name = "trimAll"
		}
		return ofText(c)
	}
	text := c.last().(string)
	return text[len(clear[0])-len(head) : len(text)-(len(clear[len(clear)-1])-len(tail))], true, nil
}

// truncated is `trunc count text`: clear text that is long enough is cut as it is.
func truncated(c *call) (any, bool, error) {
	text, count := c.text(1), 0
	if !isMarked(text) {
		return nil, false, nil
	}
	if given, ok := c.args[0].(int); ok {
		count = given
	}
	clear, _ := pieces(text)
	if head, tail := clear[0], clear[len(clear)-1]; count >= 0 && len(head) >= count || count < 0 && len(tail) >= -count {
		return nil, false, nil
	}
	return ofText(c)
}

func sortedKeys(of reflect.Value) []reflect.Value {
	keys := of.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return keys
}
