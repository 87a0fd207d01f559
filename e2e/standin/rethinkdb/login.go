package rethinkdb

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// login is what a server keeps of a password.
type login struct {
	salt, storedKey, serverKey []byte
	rounds                     int
}

// newLogin takes one round for no password, as the server does.
func newLogin(password string) login {
	l := login{salt: make([]byte, 16), rounds: 4096}
	if password == "" {
		l.rounds = 1
	}
	_, _ = rand.Read(l.salt)
	salted, _ := pbkdf2.Key(sha256.New, password, l.salt, l.rounds, sha256.Size)
	stored := sha256.Sum256(sign(salted, "Client Key"))
	l.storedKey, l.serverKey = stored[:], sign(salted, "Server Key")
	return l
}

func sign(key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}

var errLogin = errors.New("the login failed")

// shakeHands runs the handshake V1_0 with SCRAM-SHA-256.
func (o *session) shakeHands() error {
	var number [4]byte
	if _, err := io.ReadFull(o.in, number[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(number[:]) != magic {
		_, _ = o.out.WriteString("ERROR: Received an unsupported protocol version. This port is for RethinkDB queries. Does your client driver version not match the server?\n\x00")
		_ = o.out.Flush()
		return errLogin
	}
	if err := o.say(map[string]any{"success": true, "min_protocol_version": 0, "max_protocol_version": 0, "server_version": version}); err != nil {
		return err
	}
	hello, err := o.hear()
	if err != nil {
		return err
	}
	bare, ok := strings.CutPrefix(hello, "n,,")
	fields := scramFields(bare)
	if !ok || fields["n"] == "" || fields["r"] == "" {
		return o.refuse(15, "Invalid first message")
	}
	user := strings.NewReplacer("=2C", ",", "=3D", "=").Replace(fields["n"])
	o.server.mutex.Lock()
	kept, known := o.server.users[user]
	o.server.mutex.Unlock()
	if !known {
		return o.refuse(17, "Unknown user")
	}
	random := make([]byte, 18)
	_, _ = rand.Read(random)
	nonce := fields["r"] + base64.StdEncoding.EncodeToString(random)
	first := fmt.Sprintf("r=%s,s=%s,i=%d", nonce, base64.StdEncoding.EncodeToString(kept.salt), kept.rounds)
	if err := o.say(map[string]any{"success": true, "authentication": first}); err != nil {
		return err
	}
	answer, err := o.hear()
	if err != nil {
		return err
	}
	final, proof, _ := strings.Cut(answer, ",p=")
	message := bare + "," + first + "," + final
	got, err := base64.StdEncoding.DecodeString(proof)
	if err != nil || len(got) != sha256.Size || scramFields(final)["r"] != nonce {
		return o.refuse(12, "Wrong password")
	}
	for i, b := range sign(kept.storedKey, message) {
		got[i] ^= b
	}
	if stored := sha256.Sum256(got); !hmac.Equal(stored[:], kept.storedKey) {
		return o.refuse(12, "Wrong password")
	}
	o.user = user
	signature := base64.StdEncoding.EncodeToString(sign(kept.serverKey, message))
	return o.say(map[string]any{"success": true, "authentication": "v=" + signature})
}

func (o *session) hear() (string, error) {
	text, err := o.in.ReadBytes(0)
	if err != nil {
		return "", err
	}
	var message struct {
		Authentication string `json:"authentication"`
	}
	err = json.Unmarshal(text[:len(text)-1], &message)
	return message.Authentication, err
}

func (o *session) say(message map[string]any) error {
	_, _ = o.out.Write(append(encode(message), 0))
	return o.out.Flush()
}

func (o *session) refuse(code int, text string) error {
	_ = o.say(map[string]any{"success": false, "error": text, "error_code": code})
	return errLogin
}

func scramFields(message string) map[string]string {
	fields := map[string]string{}
	for _, part := range strings.Split(message, ",") {
		if name, value, ok := strings.Cut(part, "="); ok {
			fields[name] = value
		}
	}
	return fields
}
