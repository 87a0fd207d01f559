package cnosdb

import (
	"strings"
)

// token is a word, a number, a sign, a quoted name or a quoted text of a statement.
type token struct {
	kind byte // w, n, s, i (identifier in quotes), t (text in quotes)
	text string
}

// tokens cuts a statement. In quotes only the quote itself is doubled.
func tokens(sql string) ([]token, *failure) {
	var all []token
	for at := 0; at < len(sql); {
		c := sql[at]
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			at++
		case c == '"' || c == '\'':
			var text strings.Builder
			end := at + 1
			for ; ; end++ {
				if end >= len(sql) {
					return nil, syntax(sql)
				}
				if sql[end] == c {
					if end+1 >= len(sql) || sql[end+1] != c {
						break
					}
					end++
				}
				text.WriteByte(sql[end])
			}
			all = append(all, token{map[byte]byte{'"': 'i', '\'': 't'}[c], text.String()})
			at = end + 1
		case isDigit(c):
			end := at
			for end < len(sql) && (isDigit(sql[end]) || sql[end] == '.') {
				end++
			}
			all = append(all, token{'n', sql[at:end]})
			at = end
		case isWord(c):
			end := at
			for end < len(sql) && (isWord(sql[end]) || isDigit(sql[end])) {
				end++
			}
			all = append(all, token{'w', sql[at:end]})
			at = end
		default:
			end := at + 1
			if end < len(sql) && (sql[at:end+1] == ">=" || sql[at:end+1] == "<=") {
				end++
			}
			all = append(all, token{'s', sql[at:end]})
			at = end
		}
	}
	return all, nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isWord(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func syntax(sql string) *failure {
	return fail("010001", "the stand-in does not know the statement: %s", sql)
}

// parser walks over the tokens of one statement.
type parser struct {
	sql string
	all []token
}

// word takes words of the language, in any case, if all of them come next.
func (p *parser) word(words ...string) bool {
	if len(p.all) < len(words) {
		return false
	}
	for at, word := range words {
		if p.all[at].kind != 'w' || !strings.EqualFold(p.all[at].text, word) {
			return false
		}
	}
	p.all = p.all[len(words):]
	return true
}

// sign takes one sign if it comes next.
func (p *parser) sign(sign string) bool {
	if len(p.all) == 0 || p.all[0].kind != 's' || p.all[0].text != sign {
		return false
	}
	p.all = p.all[1:]
	return true
}

// name takes an identifier; without quotes it is in lower case.
func (p *parser) name() (string, *failure) {
	if len(p.all) == 0 || p.all[0].kind != 'i' && p.all[0].kind != 'w' {
		return "", syntax(p.sql)
	}
	text := p.all[0].text
	if p.all[0].kind == 'w' {
		text = strings.ToLower(text)
	}
	p.all = p.all[1:]
	return text, nil
}

// take takes any token of one of the kinds.
func (p *parser) take(kinds string) (token, *failure) {
	if len(p.all) == 0 || strings.IndexByte(kinds, p.all[0].kind) < 0 {
		return token{}, syntax(p.sql)
	}
	one := p.all[0]
	p.all = p.all[1:]
	return one, nil
}

// end is an error where something is left.
func (p *parser) end() *failure {
	if len(p.all) > 0 {
		return syntax(p.sql)
	}
	return nil
}
