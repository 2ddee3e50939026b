"""Users of an embedded Kafka and how clients sign in to it; the passwords are in a file for its owner only."""

from __future__ import annotations

import logging
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from broker.embedded.files import new_password, read_document, write_document
from broker.embedded.properties import ADMIN_USER
from broker.embedded.running import Running

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

CONTROLLER_USER = "controller"
SCRAM_ITERATIONS = 4096
ADMIN_TIMEOUT_S = 10.0
_LIBRDKAFKA_LOG = logging.getLogger("broker.embedded.librdkafka")


class SignIn(Running):
    """What a Kafka of one node and one of several have in common: an address, users, their passwords."""

    _credentials_file: Path

    @property
    @abstractmethod
    def bootstrap(self) -> str:
        """`host:port` for clients, several separated by commas. Raises NotRunningError."""

    def credentials(self, user: str) -> str:
        """The password of `user`, who is created if new. A new user may do nothing until an ACL says
        otherwise.
        """
        known = self._passwords()
        if user not in known:
            from confluent_kafka.admin import (
                ScramCredentialInfo,
                ScramMechanism,
                UserScramCredentialUpsertion,
            )

            known[user] = new_password()
            scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS)
            wish = UserScramCredentialUpsertion(user, scram, known[user].encode())
            admin = self.admin()  # named: a client that nobody holds is closed before it answers
            for done in admin.alter_user_scram_credentials([wish]).values():
                done.result(timeout=ADMIN_TIMEOUT_S)
            write_document(self._credentials_file, known)
        return known[user]

    def client_settings(self, user: str) -> dict[str, str]:
        """Settings of a confluent-kafka client (or any librdkafka) that connects as `user`."""
        return {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": self.credentials(user),
        }

    def aiokafka_settings(self, user: str) -> dict[str, str]:
        """Keyword arguments of an aiokafka client that connects as `user`."""
        return {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": user,
            "sasl_plain_password": self.credentials(user),
        }

    def admin(self) -> AdminClient:
        """A client of the super user: topics, ACLs, users."""
        return self._admin_of(self.bootstrap)

    def _passwords(self) -> dict[str, str]:
        return {
            user: str(password) for user, password in (read_document(self._credentials_file) or {}).items()
        }

    def _admin_of(self, bootstrap: str) -> AdminClient:
        from confluent_kafka.admin import AdminClient

        settings = {
            "bootstrap.servers": bootstrap,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": ADMIN_USER,
            "sasl.password": self._passwords()[ADMIN_USER],
            "log_level": 3,
        }
        return AdminClient(settings, logger=_LIBRDKAFKA_LOG)
