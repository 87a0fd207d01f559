package emqx

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// A table's backup is a disk log of Erlang's: eight bytes, then items of a length, a mark and a
// term. Terms of 65,528 bytes and more, which have a digest too, are not made here.
var (
	logHead  = []byte{1, 2, 3, 4, 'c', 'X', 'M', 11}
	itemMark = []byte("bWLA")
	errTable = errors.New("not_a_log_file")
)

// table is a table's backup: its head (header and schema), and its rows by key.
type table struct {
	head [][]byte
	keys []string
	rows map[string][]byte
}

// parseTable reads a table's backup.
func parseTable(name string, log []byte) (*table, error) {
	if !bytes.HasPrefix(log, logHead[:4]) || len(log) < 8 {
		return nil, errTable
	}
	t := &table{rows: map[string][]byte{}}
	for rest := log[8:]; len(rest) > 0; {
		if len(rest) < 8 || !bytes.Equal(rest[4:8], itemMark) {
			return nil, errTable
		}
		size := int(binary.BigEndian.Uint32(rest))
		if size > len(rest)-8 {
			return nil, errTable
		}
		term := rest[8 : 8+size]
		rest = rest[8+size:]
		tag, elements := record(term)
		switch tag {
		case "log_header", "schema":
			t.head = append(t.head, term)
		case name:
			after := skip(elements)
			if after < 0 {
				return nil, errTable
			}
			t.put(string(elements[:after]), term)
		default:
			return nil, errTable
		}
	}
	return t, nil
}

func (t *table) put(key string, row []byte) {
	if _, there := t.rows[key]; !there {
		t.keys = append(t.keys, key)
	}
	t.rows[key] = row
}

// log writes the table's backup.
func (t *table) log() []byte {
	log := bytes.Clone(logHead)
	add := func(term []byte) {
		log = binary.BigEndian.AppendUint32(log, uint32(len(term)))
		log = append(log, itemMark...)
		log = append(log, term...)
	}
	for _, term := range t.head {
		add(term)
	}
	for _, key := range t.keys {
		add(t.rows[key])
	}
	return log
}

// record is a tuple's first element, an atom, and what follows it.
func record(term []byte) (string, []byte) {
	if len(term) < 6 || term[0] != 131 || term[1] != 104 || term[3] != 100 {
		return "", nil
	}
	length := int(binary.BigEndian.Uint16(term[4:]))
	if len(term) < 6+length {
		return "", nil
	}
	return string(term[6 : 6+length]), term[6+length:]
}

// skip is the length of the first term; below zero where it is none that rows have as keys.
func skip(term []byte) int {
	if len(term) < 2 {
		return -1
	}
	length := -1
	switch term[0] {
	case 97:
		length = 2
	case 98:
		length = 5
	case 100, 107:
		if len(term) >= 3 {
			length = 3 + int(binary.BigEndian.Uint16(term[1:]))
		}
	case 106:
		length = 1
	case 109:
		if len(term) >= 5 {
			length = 5 + int(binary.BigEndian.Uint32(term[1:]))
		}
	case 104:
		length = 2
		for range int(term[1]) {
			inner := skip(term[length:])
			if inner < 0 {
				return -1
			}
			length += inner
		}
	}
	if length > len(term) {
		return -1
	}
	return length
}

// user is a row of emqx_authn_mnesia, and its key.
func user(name string) (key string, row []byte) {
	k := append([]byte{104, 2}, atom("mqtt:global")...)
	k = append(k, binaryTerm(name)...)
	row = append([]byte{131, 104, 5}, atom("emqx_authn_mnesia")...)
	row = append(row, k...)
	row = append(row, binaryTerm("0123456789abcdef")...)
	row = append(row, binaryTerm("salt")...)
	row = append(row, atom("false")...)
	return string(k), row
}

func atom(name string) []byte {
	return append([]byte{100, 0, byte(len(name))}, name...)
}

func binaryTerm(text string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{109}, uint32(len(text))), text...)
}
