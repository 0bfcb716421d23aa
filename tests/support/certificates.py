"""A certificate authority of the tests' own, made with the openssl program.

server        right CA, right host names (localhost, 127.0.0.1 and, if given, further addresses)
elsewhere     right CA, a host name that is not ours
wrong_ca      an authority that signed nothing here
"""
import pathlib

import process

_CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]


def _openssl(*words):
    process.run(["openssl", *words])


def _authority(folder, name):
    _openssl("req", "-x509", *_CURVE, "-subj", f"/CN=pgbroker test {name}",
             "-addext", "basicConstraints=critical,CA:TRUE",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign",
             "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt")


def _server(folder, name, alternative_names):
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    common_name = alternative_names.split(",")[0].split(":", 1)[1]
    extensions.write_text(f"subjectAltName={alternative_names}\n")
    _openssl("req", *_CURVE, "-subj", f"/CN={common_name}",
             "-keyout", folder / f"{name}.key", "-out", request)
    _openssl("x509", "-req", "-in", request, "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key",
             "-CAcreateserial", "-days", "30", "-extfile", extensions, "-out", folder / f"{name}.crt")


def make(folder, addresses=()):
    """Writes ca, wrong_ca, server and elsewhere (.crt and .key) into the folder."""
    folder = pathlib.Path(folder)
    _authority(folder, "ca")
    _authority(folder, "wrong_ca")
    names = ",".join(["DNS:localhost", "IP:127.0.0.1", *(f"IP:{address}" for address in addresses)])
    _server(folder, "server", names)
    _server(folder, "elsewhere", "DNS:elsewhere.invalid")
    return folder
