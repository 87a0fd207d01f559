package gcs

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"time"
)

const email = "lifeboat@stand-in.iam.gserviceaccount.com"

// serviceAccount gives the key file that Google Cloud would have made, with a field that must be
// ignored by who reads it: gcs_base_url leads elsewhere.
func (s *Server) serviceAccount(w http.ResponseWriter, unknown bool) {
	private := s.key
	if unknown {
		private = newKey()
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{
		"type": "service_account", "private_key_id": "1", "private_key": string(key),
		"client_email": email, "gcs_base_url": "http://127.0.0.1:1",
	})
}

// authorized checks a self-signed token: whose it is, its scope, its times, its signature.
func (s *Server) authorized(header string) bool {
	token, ok := strings.CutPrefix(header, "Bearer ")
	parts := strings.Split(token, ".")
	if !ok || len(parts) != 3 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return false
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(&s.key.PublicKey, crypto.SHA256, digest[:], signature) != nil {
		return false
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Iss, Sub, Scope string
		Iat, Exp        int64
	}
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return false
	}
	now := time.Now().Unix()
	return claims.Iss == email && claims.Sub == email && strings.HasSuffix(claims.Scope, "/auth/cloud-platform") &&
		claims.Iat <= now+300 && now < claims.Exp && claims.Exp-claims.Iat <= 3600
}
