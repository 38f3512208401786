"""Lets a client that offers meet a server that offers as well: answers for both, made from the two offers. Only transport
and formats that both sides name are carried over. Knows no sockets and no signaling."""

from dataclasses import dataclass, field


class Mismatch(Exception):
    """The two offers have nothing in common; says what."""


@dataclass
class Section:
    kind: str
    protocol: str
    formats: list
    lines: list = field(default_factory=list)

    def values(self, name):
        prefix = f"a={name}:"
        return [line[len(prefix) :] for line in self.lines if line.startswith(prefix)]

    def value(self, name):
        return next(iter(self.values(name)), None)


@dataclass
class Description:
    lines: list
    sections: list

    @staticmethod
    def parse(text):
        lines, sections = [], []
        for line in text.replace("\r\n", "\n").split("\n"):
            if line.startswith("m="):
                fields = line[2:].split(" ")
                if len(fields) < 4:
                    raise Mismatch("a media line is cut off")
                sections.append(Section(fields[0], fields[2], fields[3:]))
            elif line:
                (sections[-1].lines if sections else lines).append(line)
        return Description(lines, sections)

    def transport(self, name, section=None):
        """Of a section, or of the whole description where it does not say."""
        own = section.value(name) if section else None
        prefix = f"a={name}:"
        session = (line[len(prefix) :] for line in self.lines if line.startswith(prefix))
        elsewhere = (value for other in self.sections if (value := other.value(name)))
        found = own or next(session, None) or next(elsewhere, None)
        if found is None:
            raise Mismatch(f"an offer has no a={name}")
        return found


def _codec(section, payload_type):
    for value in section.values("rtpmap"):
        number, _, name = value.partition(" ")
        if number == payload_type:
            return name.lower()
    return None


def _common_formats(mine, theirs):
    """Payload types that stand for the same codec in both, in the order of `mine`."""
    return [
        one for one in mine.formats if one in theirs.formats and _codec(mine, one) == _codec(theirs, one) is not None
    ]


def _shared(formats, mine, theirs):
    """Lines about these formats, and header extensions, that both offers have alike."""
    for name in ("rtpmap", "fmtp", "rtcp-fb", "extmap"):
        other = theirs.values(name)
        for value in mine.values(name):
            of_format = value.split(" ")[0] in formats or name == "extmap"
            if of_format and (name in ("rtpmap", "fmtp") or value in other):
                yield f"a={name}:{value}"


def _answer(mids, sections):
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}"]
    return "".join(line + "\r\n" for line in lines + sections)


def _transport(description, section, setup):
    return [
        "c=IN IP4 0.0.0.0",
        f"a=ice-ufrag:{description.transport('ice-ufrag', section)}",
        f"a=ice-pwd:{description.transport('ice-pwd', section)}",
        f"a=fingerprint:{description.transport('fingerprint', section)}",
        f"a=setup:{setup}",
        "a=rtcp-mux",
    ]


def _pairs(offer, other):
    """Each section of `offer` with the first of the other's of its kind that is not taken, or None."""
    left = list(other.sections)
    for section in offer.sections:
        match = next((one for one in left if one.kind == section.kind), None)
        if match:
            left.remove(match)
        yield section, match


def answers(server_offer, client_offer):
    """(for the server, for the client). The client receives and opens the DTLS handshake.

    Raises Mismatch where no section of the client can be served."""
    server, client = Description.parse(server_offer), Description.parse(client_offer)
    for_server, for_client = [], []
    server_mids, client_mids = [], []
    for theirs, mine in _pairs(server, client):
        formats = _common_formats(theirs, mine) if mine else []
        if not formats:
            for_server += [f"m={theirs.kind} 0 {theirs.protocol} {theirs.formats[0]}", f"a=mid:{theirs.value('mid')}"]
            continue
        server_mids.append(theirs.value("mid"))
        for_server += [f"m={theirs.kind} 9 {theirs.protocol} {' '.join(formats)}"]
        for_server += _transport(client, mine, "active") + [f"a=mid:{theirs.value('mid')}", "a=recvonly"]
        for_server += list(_shared(formats, theirs, mine))
    for mine, theirs in _pairs(client, server):
        formats = _common_formats(mine, theirs) if theirs else []
        if not formats:
            for_client += [f"m={mine.kind} 0 {mine.protocol} {mine.formats[0]}", f"a=mid:{mine.value('mid')}"]
            continue
        candidates = [] if client_mids else [c for one in server.sections for c in one.values("candidate")]
        client_mids.append(mine.value("mid"))
        for_client += [f"m={mine.kind} 9 {mine.protocol} {' '.join(formats)}"]
        for_client += _transport(server, theirs, "passive") + [f"a=mid:{mine.value('mid')}", "a=sendonly"]
        for_client += list(_shared(formats, mine, theirs))
        for_client += [f"a=candidate:{candidate}" for candidate in dict.fromkeys(candidates)]
    if not client_mids:
        raise Mismatch("the offers have no section with a codec in common")
    return _answer(server_mids, for_server), _answer(client_mids, for_client)
