"""Studies: from their protocol to their opening, and the people in them."""

from collections.abc import Sequence
from typing import Any

from reread_client.calls import Calls
from reread_client.models import Checklist, Invited, Member, Plan, Study


class Studies(Calls):
    """Setting studies up."""

    def studies(self) -> list[Study]:
        """Return the studies one conducts."""
        return [Study.from_site(each) for each in self._all("studies")]

    def study(self, name: str) -> Study:
        """Return one study."""
        return Study.from_site(self._call("GET", f"studies/{name}"))

    def create_study(
        self, name: str, *, protocol: str | None = None, template: str | None = None
    ) -> Study:
        """Create a study from the text of a protocol, or from a template of the site.

        Raises:
            Refused: there is one of this name, or the protocol cannot be run: `problems` say where.
        """
        given = {"protocol": protocol, "template": template}
        body = {"name": name, **{key: value for key, value in given.items() if value is not None}}
        return Study.from_site(self._call("POST", "studies", body))

    def templates(self) -> dict[str, str]:
        """Return the protocols to start from, their text by their name."""
        return {each["name"]: each["text"] for each in self._all("templates")}

    def protocol(self, name: str) -> str:
        """Return the text of the protocol in force."""
        return str(self._call("GET", f"studies/{name}/protocol")["text"])

    def amend_protocol(self, name: str, text: str, *, reason: str = "") -> int:
        """Put another protocol in force; return the number of its version."""
        body = {"text": text, "reason": reason}
        return int(self._call("PUT", f"studies/{name}/protocol", body)["version"])

    def dry_run(self, name: str, *, text: str | None = None, per_day: int = 20) -> Plan:
        """Say what a protocol would come to: the one in force, or `text`."""
        body: dict[str, Any] = {"per_day": per_day} | ({} if text is None else {"text": text})
        return Plan.from_site(self._call("POST", f"studies/{name}/protocol/dry-run", body))

    def checklist(self, name: str) -> Checklist:
        """Say what the study needs before it can open."""
        said = self._call("GET", f"studies/{name}/checklist")
        missing = (
            f"{each['name']}: {each['detail']}" for each in said["checks"] if not each["met"]
        )
        return Checklist(said["can_open"], tuple(missing))

    def allocate(
        self, name: str, *, training: Sequence[str] = (), every_s: float = 1
    ) -> dict[str, Any]:
        """Have the cases dealt out, once; return what came of it once the worker has done it.

        Raises:
            Refused: the cases cannot be dealt out; the text says why.
        """
        asked = self._call("POST", f"studies/{name}/allocation", {"training": list(training)})
        return self._outcome(name, asked["id"], every_s)

    def open_study(self, name: str) -> Study:
        """Let readings begin."""
        return Study.from_site(self._call("POST", f"studies/{name}/open", {}))

    def people(self, name: str) -> list[Member]:
        """Return the members of a study."""
        return [Member.from_site(each) for each in self._all(f"studies/{name}/people")]

    def invite(
        self, study: str, *, name: str, role: str, pseudonym: str, email: str = ""
    ) -> Invited:
        """Give somebody a role, and return the link by which they choose a password."""
        body = {"name": name, "role": role, "pseudonym": pseudonym, "email": email}
        return Invited.from_site(self._call("POST", f"studies/{study}/invitations", body))
