package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"time"
)

// Names of the pairs NAME.crt and NAME.key in the pki folder.
const (
	// clusterCA signs the API server's certificate and every client's.
	clusterCA = "ca"
	// frontProxyCA signs who may name another user in a header (aggregated APIs). It must not be the clients' CA: then any client
	// with the right common name could.
	frontProxyCA     = "front-proxy-ca"
	frontProxyClient = "front-proxy-client"
	apiServerPair    = "apiserver"
)

// Service account tokens are signed with this key; serviceAccountPublic is what they are verified with.
const (
	serviceAccountKey    = "service-account.key"
	serviceAccountPublic = "service-account.pub"
)

// Everything is valid from an hour ago, so that a test may set a process's clock back a little, and for longer than any directory lives.
const (
	backdate = time.Hour
	validity = 10 * 365 * 24 * time.Hour
)

// pair is a certificate and its key, both PEM.
type pair struct{ cert, key []byte }

func (p pair) write(l layout, name string) error {
	if err := os.WriteFile(l.pki(name+".crt"), p.cert, 0o600); err != nil {
		return err
	}
	return os.WriteFile(l.pki(name+".key"), p.key, 0o600)
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// makePKI makes all keys and certificates of a new control plane.
func makePKI(l layout, serviceCIDR netip.Prefix) error {
	if err := os.MkdirAll(l.path("pki"), 0o700); err != nil {
		return err
	}
	cluster, err := makeAuthority(l, clusterCA)
	if err != nil {
		return err
	}
	frontProxy, err := makeAuthority(l, frontProxyCA)
	if err != nil {
		return err
	}
	server, err := cluster.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: roleAPIServer},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{
			"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		},
		// The first address of the range is the Service `kubernetes`.
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), serviceCIDR.Masked().Addr().Next().AsSlice()},
	})
	if err != nil {
		return err
	}
	if err := server.write(l, apiServerPair); err != nil {
		return err
	}
	proxy, err := frontProxy.issueClient(frontProxyClient, nil)
	if err != nil {
		return err
	}
	if err := proxy.write(l, frontProxyClient); err != nil {
		return err
	}
	return makeServiceAccountKey(l)
}

func makeAuthority(l layout, name string) (authority, error) {
	key, err := newKey()
	if err != nil {
		return authority{}, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	signed, err := sign(template, template, key.Public(), key)
	if err != nil {
		return authority{}, err
	}
	encoded, err := encodePair(signed, key)
	if err != nil {
		return authority{}, err
	}
	if err := encoded.write(l, name); err != nil {
		return authority{}, err
	}
	cert, err := x509.ParseCertificate(signed)
	return authority{cert, key}, err
}

func loadAuthority(l layout, name string) (authority, error) {
	certDER, err := readPEM(l.pki(name + ".crt"))
	if err != nil {
		return authority{}, err
	}
	keyDER, err := readPEM(l.pki(name + ".key"))
	if err != nil {
		return authority{}, err
	}
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return authority{}, fmt.Errorf("%s.crt: %w", name, err)
	}
	key, err := x509.ParsePKCS8PrivateKey(keyDER)
	if err != nil {
		return authority{}, fmt.Errorf("%s.key: %w", name, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return authority{}, fmt.Errorf("%s.key: a %T cannot sign", name, key)
	}
	return authority{cert, signer}, nil
}

// issueClient makes a certificate that the API server takes for this user and these groups.
func (a authority) issueClient(user string, groups []string) (pair, error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

func (a authority) issue(template *x509.Certificate) (pair, error) {
	key, err := newKey()
	if err != nil {
		return pair{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	signed, err := sign(template, a.cert, key.Public(), a.key)
	if err != nil {
		return pair{}, err
	}
	return encodePair(signed, key)
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template.SerialNumber = serial
	template.NotBefore = now.Add(-backdate)
	template.NotAfter = now.Add(validity)
	return x509.CreateCertificate(rand.Reader, template, parent, public, key)
}

func makeServiceAccountKey(l layout) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := os.WriteFile(l.pki(serviceAccountKey), encodePEM("PRIVATE KEY", private), 0o600); err != nil {
		return err
	}
	return os.WriteFile(l.pki(serviceAccountPublic), encodePEM("PUBLIC KEY", public), 0o600)
}

// newKey makes an elliptic key: an RSA key takes a tenth of a second on a busy machine, and a first start makes six.
func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func encodePair(certDER []byte, key crypto.Signer) (pair, error) {
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair{}, err
	}
	return pair{cert: encodePEM("CERTIFICATE", certDER), key: encodePEM("PRIVATE KEY", keyDER)}, nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func readPEM(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s: %w", path, errors.New("no PEM block"))
	}
	return block.Bytes, nil
}
