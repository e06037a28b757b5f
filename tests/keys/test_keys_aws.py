"""AWS KMS by moto's server, which encrypts for real, with its own ciphertexts; sops talks to the same one.

What moto does not show is permissions, throttling, states of keys and replicas of multi-region keys: those answers are played by a server
of the test, in the form that AWS documents.
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from cloud_server import Answer, CloudServer, Log, Request, Silence, both_ways, forget, slow_answers

from agent.adapters.keys import aws, remote
from agent.adapters.keys.aws import AwsKeys
from agent.sops.format.keys import AgeKey, AgeRecipient, KmsKey, KmsRecipient
from agent.values.errors import DataKeyError
from agent.values.secret import Secret
from testbed import binaries
from testbed.processes import Supervisor, free_port
from testbed.requests import request

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator
    from pathlib import Path

DATA_KEY = Secret(b"canary-data-key-of-32-bytes-long", "data key")
WHEN = "2026-01-01T00:00:00Z"
ACCESS, SECRET, TOKEN = "AKIACANARYACCESSKEY0", "canary/secret/access/key", "canary-session-token"
ROLE = "arn:aws:iam::123456789012:role/canary"
ARN = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    program = "from moto.server import main; main()"
    with Supervisor(grace=0) as supervisor:
        process = supervisor.start("moto", [sys.executable, "-c", program, "-H", "127.0.0.1", "-p", str(port)])
        process.wait_ready(lambda: _answers(url))
        yield url


def _answers(url: str) -> bool:
    try:
        return request("GET", f"{url}/moto-api/")[0] > 0
    except ValueError:  # it is a page
        return True
    except OSError:
        return False


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keys in the environment, and nothing else of AWS's."""
    forget(monkeypatch, "AWS_")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def logged() -> Iterator[list[logging.LogRecord]]:
    """All that reaches the root logger's handlers."""
    with Log() as records:
        yield records


@pytest.fixture
def kms(moto: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The service, to be asked directly."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    return botocore.session.Session().create_client("kms", region_name="eu-central-1")


@pytest.fixture
def arn(kms: Any) -> str:
    return kms.create_key()["KeyMetadata"]["Arn"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"context": (("Env", "prod"), ("Team", "canary"))},
        {"role": ROLE},
        {"role": ROLE, "context": (("Env", "prod"),), "aws_profile": "work"},
    ],
    ids=["plain", "context", "role", "everything"],
)
def test_what_is_wrapped_is_unwrapped(arn: str, changes: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        f"[profile work]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\n"
    )
    recipient = KmsRecipient(arn, **changes)
    wrapped = AwsKeys().wrap(recipient, DATA_KEY, created_at=WHEN)
    assert wrapped == KmsKey(
        arn, recipient.role, recipient.context, recipient.aws_profile, created_at=WHEN, enc=wrapped.enc
    )
    assert AwsKeys().unwrap(wrapped) == DATA_KEY


def test_a_proxy_of_the_environment_leads_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = "kms.eu-central-1.amazonaws.com"
    with CloudServer(lambda _: Answer(200, {"CiphertextBlob": "QUJD"}), tmp_path, (host,)) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(server.ca_file))
        recipient = KmsRecipient("arn:aws:kms:eu-central-1:111122223333:key/shop")
        assert AwsKeys().wrap(recipient, DATA_KEY, created_at=WHEN).enc == "QUJD"
        assert {request.host for request in server.seen} == {host}


def test_an_alias_is_a_key(kms: Any, arn: str) -> None:
    kms.create_alias(AliasName="alias/team/signet", TargetKeyId=arn)
    alias = arn.partition(":key/")[0] + ":alias/team/signet"
    assert AwsKeys().unwrap(AwsKeys().wrap(KmsRecipient(alias), DATA_KEY, created_at=WHEN)) == DATA_KEY


def sops(*arguments: str, folder: Path) -> bytes:
    done = subprocess.run(
        [binaries.path("sops"), "--disable-version-check", *arguments], cwd=folder, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("role", ["", ROLE])
@pytest.mark.parametrize("context", ["", "Env:prod,Team:canary"])
def test_sops_opens_what_is_wrapped_here_and_the_other_way_round(
    kms: Any, arn: str, tmp_path: Path, role: str, context: str
) -> None:
    """The file is sops'; its wrapped key is replaced by one for another KMS key, made here."""
    (tmp_path / "f.json").write_text('{"a": "hunter2"}')
    flags = ["--kms", f"{arn}+{role}" if role else arn, *(["--encryption-context", context] if context else [])]
    file = json.loads(sops("encrypt", *flags, "f.json", folder=tmp_path))
    entry = file["sops"]["kms"][0]
    pairs = tuple(sorted((entry.get("context") or {}).items()))
    assert pairs == tuple(tuple(pair.split(":")) for pair in context.split(",") if pair)
    theirs = KmsKey(entry["arn"], entry.get("role", ""), pairs, "", entry["created_at"], entry["enc"])
    data_key = AwsKeys().unwrap(theirs)

    other = kms.create_key()["KeyMetadata"]["Arn"]
    ours = AwsKeys().wrap(KmsRecipient(other, role, pairs), data_key, created_at=WHEN)
    entry.update(arn=ours.arn, enc=ours.enc, created_at=ours.created_at)
    (tmp_path / "f.json").write_text(json.dumps(file))
    assert json.loads(sops("decrypt", "f.json", folder=tmp_path)) == {"a": "hunter2"}


@pytest.mark.parametrize("role", ["", "+" + ROLE])
def test_the_commands_open_each_other_s_files(arn: str, role: str, tmp_path: Path) -> None:
    both_ways("--kms", arn + role, tmp_path)


def test_a_key_of_the_server_that_does_not_open_says_why(kms: Any, arn: str) -> None:
    keys = AwsKeys()
    wrapped = keys.wrap(KmsRecipient(arn, context=(("Env", "prod"),)), DATA_KEY, created_at=WHEN)
    other = kms.create_key()["KeyMetadata"]["Arn"]
    nowhere = arn.partition(":key/")[0] + ":key/00000000-0000-0000-0000-000000000000"

    def changed(**changes: Any) -> KmsKey:
        fields = {"arn": arn, "role": "", "context": (("Env", "prod"),), "aws_profile": "", "enc": wrapped.enc}
        return KmsKey(created_at=WHEN, **{**fields, **changes})

    not_this_key = "this KMS key did not make the wrapped key, or not in this encryption context"
    cases = {
        not_this_key: changed(context=()),
        "AWS denies the use of this KMS key": changed(arn=other),
        "the wrapped key is damaged": changed(enc="canary!"),
        "not the ARN of a KMS key": changed(arn="arn:aws:kms:evil.example/:1:key/a"),
        "not the ARN of a role": changed(role="canary"),
        "no such profile in the AWS files": changed(aws_profile="none"),
    }
    for reason, key in cases.items():
        assert why(key) == reason
    with pytest.raises(DataKeyError, match="no such KMS key in its region"):
        keys.wrap(KmsRecipient(nowhere), DATA_KEY, created_at=WHEN)
    with pytest.raises(DataKeyError, match="not an AWS KMS"):
        keys.unwrap(AgeKey("age1", "x"))
    with pytest.raises(DataKeyError, match="not an AWS KMS"):
        keys.wrap(AgeRecipient("age1"), DATA_KEY, created_at=WHEN)


def why(key: KmsKey) -> str:
    """The reason, once it is sure that nothing confidential is in the error."""
    with pytest.raises(DataKeyError) as caught:
        AwsKeys().unwrap(key)
    error = caught.value
    assert error.__cause__ is None
    for canary in (ACCESS, SECRET, TOKEN, "canary-text"):
        assert canary not in f"{error} {error.hint} {error.facts}"
    return error.message


KEY = KmsKey(ARN, "", (), "", WHEN, base64.b64encode(b"blob").decode())


def refusal(code: str, status: int = 400) -> Answer:
    return Answer(status, {"__type": code, "message": f"canary-text {SECRET}"})


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("AccessDeniedException", "AWS denies the use of this KMS key"),
        ("NotFoundException", "no such KMS key in its region"),
        ("DisabledException", "the KMS key is disabled, or waits for its deletion or its material"),
        ("KMSInvalidStateException", "the KMS key is disabled, or waits for its deletion or its material"),
        ("IncorrectKeyException", "this KMS key did not make the wrapped key, or not in this encryption context"),
        ("UnrecognizedClientException", "AWS does not accept the credentials"),
        ("ExpiredTokenException", "the AWS credentials have expired"),
        ("ThrottlingException", "AWS is too busy"),
        ("CanaryException", "AWS refuses"),
    ],
)
def test_each_refusal_has_its_reason(
    code: str, reason: str, monkeypatch: pytest.MonkeyPatch, logged: list[logging.LogRecord]
) -> None:
    with CloudServer(lambda _: refusal(code)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        assert why(KEY) == reason
    assert not logged


@pytest.mark.parametrize(
    "answer",
    [Answer(200, b""), Answer(200, b"<html>canary-text</html>"), Answer(200, {}), Answer(200, {"Plaintext": "%%"})],
)
def test_an_answer_that_is_none_of_kms_s(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    with CloudServer(lambda _: answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        why(KEY)


def test_a_role_that_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    page = f"<ErrorResponse><Error><Code>AccessDenied</Code><Message>canary-text {SECRET}</Message></Error></ErrorResponse>"
    with CloudServer(lambda _: Answer(403, page.encode(), {"Content-Type": "text/xml"})) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        assert why(KmsKey(ARN, ROLE, (), "", WHEN, KEY.enc)) == "AWS denies the role"


@pytest.mark.parametrize(
    ("arn", "region"),
    [
        (ARN, "eu-central-1"),
        ("arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/a", "us-gov-west-1"),
        ("arn:aws-cn:kms:cn-north-1:123456789012:key/a", "cn-north-1"),
        ("arn:aws:kms:ap-south-2:123456789012:key/mrk-0123456789abcdef0123456789abcdef", "ap-south-2"),
    ],
)
def test_the_region_is_the_arn_s(arn: str, region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a replica of a multi-region key is asked where it is, whatever region the environment prefers."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    answer = Answer(200, {"KeyId": arn, "Plaintext": base64.b64encode(b"k" * 32).decode()})
    with CloudServer(lambda _: answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", server.url)
        assert AwsKeys().unwrap(KmsKey(arn, "", (), "", WHEN, KEY.enc)) == Secret(b"k" * 32, "")
        (request,) = server.seen
    assert f"/{region}/kms/aws4_request" in request.headers["authorization"]
    assert request.json()["KeyId"] == arn


def test_a_role_is_assumed_in_the_name_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws.socket, "gethostname", lambda: "build-42.example.org" + "x" * 80)
    assumed = (
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASSUMED</AccessKeyId><SecretAccessKey>s"
        f"</SecretAccessKey><SessionToken>{TOKEN}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
        "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )

    def answer(request: Request) -> Answer:
        if b"AssumeRole" in request.body:
            return Answer(200, assumed.encode(), {"Content-Type": "text/xml"})
        return Answer(200, {"Plaintext": base64.b64encode(b"k" * 32).decode()})

    with CloudServer(answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        AwsKeys().unwrap(KmsKey(ARN, ROLE, (), "", WHEN, KEY.enc))
        sts, kms = server.seen
    assert b"RoleSessionName=sops%40build42.example.org" in sts.body
    assert sts.body.count(b"x") < 64
    assert "Credential=ASSUMED/" in kms.headers["authorization"]
    assert kms.headers["x-amz-security-token"] == TOKEN


def test_a_profile_goes_before_the_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = OFTHEPROFILE\naws_secret_access_key = s\n")
    answer = Answer(200, {"Plaintext": base64.b64encode(b"k" * 32).decode()})
    with CloudServer(lambda _: answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        AwsKeys().unwrap(KEY)
        AwsKeys().unwrap(KmsKey(ARN, "", (), "work", WHEN, KEY.enc))
        monkeypatch.setenv("AWS_PROFILE", "work")
        AwsKeys().unwrap(KEY)
        users = [request.headers["authorization"].split("Credential=")[1].split("/")[0] for request in server.seen]
    assert users == [ACCESS, "OFTHEPROFILE", "OFTHEPROFILE"]


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert why(KEY) == "no AWS credentials"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert why(KEY) == "the AWS credentials cannot be retrieved"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("[profile p]\ncredential_process = false\n", "the AWS credentials cannot be retrieved"),
        ("canary-text = [", "the AWS configuration is not usable"),
        (
            f"[profile p]\nrole_arn = {ROLE}\nsource_profile = p\nmfa_serial = arn:aws:iam::1:mfa/canary\n",
            "the AWS profile asks for an MFA code, and there is no terminal",
        ),
        (
            "[profile p]\nsso_start_url = https://canary.example\nsso_region = eu-central-1\nsso_account_id = 1\nsso_role_name = r\n",
            "the AWS sign-in has expired",
        ),
    ],
)
def test_a_profile_that_gives_no_credentials(
    config: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "config").write_text(config)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert why(KmsKey(ARN, "", (), "p", WHEN, KEY.enc)) == reason


def test_a_service_that_hangs_ends_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "_READ_SECONDS", 0.05)
    with Silence() as server:
        for role in ("", ROLE):
            monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
            assert why(KmsKey(ARN, role, (), "", WHEN, KEY.enc)) == "AWS does not answer"
    assert why(KEY) == "AWS does not answer"  # now nothing listens there


def test_an_answer_that_drips_in_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "DEADLINE_SECONDS", 0.05)
    with slow_answers() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        assert why(KEY) == "the server does not answer in time"


def test_without_the_extra_the_reason_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    assert why(KEY) == "AWS KMS keys need the aws extra"
