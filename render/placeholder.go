package main

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"reflect"
	"regexp"
	"strings"
)

// What stands for a sealed value: see agent/values/placeholders.py, whose rules these are.
const (
	placeholderStart  = "sGnT0k"
	placeholderEnd    = "K0tNgS"
	placeholderBody   = 24
	placeholderLength = len(placeholderStart) + placeholderBody + len(placeholderEnd)
	placeholderDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	placeholderDomain = "signet placeholder v1"
	// deepestValue bounds what is looked through: a map may hold itself.
	deepestValue = 100
)

var placeholders = regexp.MustCompile(placeholderStart + `[0-9A-Za-z]{24}` + placeholderEnd)

// expression is what was done with a text that holds placeholders. Its own placeholder stands for the result.
type expression struct {
	op   string
	args []string
}

func (e expression) placeholder() string {
	hash := sha256.New()
	hash.Write([]byte(placeholderDomain))
	for _, part := range append([]string{"expr", e.op}, e.args...) {
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		hash.Write([]byte(part))
	}
	number, base, digit := new(big.Int).SetBytes(hash.Sum(nil)), big.NewInt(int64(len(placeholderDigits))), new(big.Int)
	body := make([]byte, 0, placeholderBody)
	for range placeholderBody {
		number.DivMod(number, base, digit)
		body = append(body, placeholderDigits[digit.Int64()])
	}
	return placeholderStart + string(body) + placeholderEnd
}

func isMarked(text string) bool { return strings.Contains(text, placeholderStart) }

func isPlaceholder(text string) bool {
	return len(text) == placeholderLength && placeholders.MatchString(text)
}

// pieces are the clear texts before, between and behind the placeholders of a text, and these.
func pieces(text string) (clear, found []string) {
	return placeholders.Split(text, -1), placeholders.FindAllString(text, -1)
}

// withoutPlaceholders is a text for people.
func withoutPlaceholders(text string) string {
	return placeholders.ReplaceAllString(text, "(sealed value)")
}

// isMarkedBelow says whether a value of a template holds a placeholder, however deep; one that is too deep to tell does.
func isMarkedBelow(value any) bool { return isMarkedWithin(reflect.ValueOf(value), deepestValue) }

func isMarkedWithin(value reflect.Value, depth int) bool {
	if depth == 0 {
		return true
	}
	switch value.Kind() {
	case reflect.String:
		return isMarked(value.String())
	case reflect.Interface, reflect.Pointer:
		return !value.IsNil() && isMarkedWithin(value.Elem(), depth-1)
	case reflect.Slice, reflect.Array:
		if value.Type().Elem().Kind() == reflect.Uint8 {
			return value.Kind() == reflect.Slice && isMarked(string(value.Bytes()))
		}
		for at := range value.Len() {
			if isMarkedWithin(value.Index(at), depth-1) {
				return true
			}
		}
	case reflect.Map:
		for each := value.MapRange(); each.Next(); {
			if isMarkedWithin(each.Key(), depth-1) || isMarkedWithin(each.Value(), depth-1) {
				return true
			}
		}
	case reflect.Struct:
		for at := range value.NumField() {
			if isMarkedWithin(value.Field(at), depth-1) {
				return true
			}
		}
	}
	return false
}

// mappedTexts is a copy of maps, lists and texts with other texts. Keys stay.
func mappedTexts(value any, depth int, text func(string) string) any {
	if depth == 0 {
		return value
	}
	switch value := value.(type) {
	case string:
		return text(value)
	case map[string]any:
		made := make(map[string]any, len(value))
		for key, each := range value {
			made[key] = mappedTexts(each, depth-1, text)
		}
		return made
	case []any:
		made := make([]any, len(value))
		for at, each := range value {
			made[at] = mappedTexts(each, depth-1, text)
		}
		return made
	case []string:
		made := make([]any, len(value))
		for at, each := range value {
			made[at] = text(each)
		}
		return made
	}
	reflected := reflect.ValueOf(value)
	switch {
	case reflected.Kind() == reflect.Map && reflected.Type().Key().Kind() == reflect.String:
		made := make(map[string]any, reflected.Len())
		for each := reflected.MapRange(); each.Next(); {
			made[each.Key().String()] = mappedTexts(each.Value().Interface(), depth-1, text)
		}
		return made
	case reflected.Kind() == reflect.String:
		return text(reflected.String())
	case reflected.Kind() == reflect.Slice && reflected.Type().Elem().Kind() != reflect.Uint8:
		made := make([]any, reflected.Len())
		for at := range made {
			made[at] = mappedTexts(reflected.Index(at).Interface(), depth-1, text)
		}
		return made
	}
	return value
}
