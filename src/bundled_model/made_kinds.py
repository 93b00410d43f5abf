"""Tool kinds composed on the spot: attributes of things, actions on things, invented ones.

They teach to read a declaration rather than to know it: the same object with another
action, the same action on another object, words that exist nowhere else.
"""
from __future__ import annotations

from .related import concept_kind
from .tool_kinds import Kind, Param
from .words import ADJ, NOUN, VERB, Words, a_an

# attribute: questions that ask for it without naming it
ATTRIBUTES: dict[str, list[str]] = {
    "price": ["How much is {0}?", "What does {0} cost?", "How expensive is {0}?"], "age": ["How old is {0}?"], "height": ["How tall is {0}?", "How high is {0}?"],
    "weight": ["How heavy is {0}?", "How much does {0} weigh?"], "length": ["How long is {0}?"], "width": ["How wide is {0}?"], "depth": ["How deep is {0}?"],
    "size": ["How big is {0}?", "How large is {0}?"], "speed": ["How fast is {0}?"], "distance": ["How far is {0}?"], "location": ["Where is {0}?", "Where can I find {0}?"],
    "color": ["Which color does {0} have?", "What color is {0}?"], "owner": ["Who owns {0}?", "Whom does {0} belong to?"], "author": ["Who wrote {0}?"],
    "director": ["Who directed {0}?"], "inventor": ["Who invented {0}?"], "founder": ["Who founded {0}?"], "creator": ["Who made {0}?", "Who created {0}?"],
    "leader": ["Who leads {0}?"], "winner": ["Who won {0}?"], "temperature": ["How warm is {0}?", "How hot is {0}?"], "capacity": ["How much fits into {0}?"],
    "opening hours": ["When does {0} open?", "When is {0} open?", "Is {0} open now?"], "closing time": ["When does {0} close?"], "start": ["When does {0} start?", "When does {0} begin?"],
    "end": ["When does {0} end?"], "duration": ["How long does {0} take?", "How long does {0} last?"], "arrival": ["When does {0} arrive?"], "departure": ["When does {0} leave?"],
    "birthday": ["When was {0} born?"], "job": ["What does {0} do for a living?", "What does {0} work as?"], "salary": ["How much does {0} earn?"], "home": ["Where does {0} live?"],
    "nickname": ["What do people call {0}?"], "phone": ["How can I call {0}?"], "email": ["Where can I write to {0}?"], "hobby": ["What does {0} like to do?"],
    "language": ["Which language does {0} speak?"], "friends": ["Who are the friends of {0}?"], "parents": ["Who are the parents of {0}?"], "address": ["In which street is {0}?"],
    "material": ["What is {0} made of?"], "origin": ["Where does {0} come from?"], "meaning": ["What does {0} mean?"], "cause": ["Why did {0} happen?"],
    "ingredients": ["What is in {0}?"], "rating": ["How good is {0}?", "Is {0} any good?"], "status": ["How is {0} doing?", "What about {0}?"], "version": ["Which version of {0} is the newest?"],
    "license": ["May I use {0} freely?"], "number": ["How many {0} are there?"], "score": ["How many points does {0} have?"], "rank": ["At which place is {0}?"],
    "risk": ["How dangerous is {0}?", "Is {0} safe?"], "symbol": ["What stands for {0}?"], "population": ["How many people live in {0}?"], "area": ["How many square kilometres does {0} have?"],
    "mayor": ["Who governs {0}?"], "team": ["Who plays for {0}?", "For whom does {0} play?"], "battery": ["How much charge does {0} have?"], "deadline": ["By when must {0} be finished?"],
    "budget": ["How much money is there for {0}?"], "progress": ["How far is {0}?"], "history": ["What happened to {0}?"], "warranty": ["How long is {0} guaranteed?"],
    "diagnosis": ["What is wrong with {0}?"], "wifi password": ["How do I get online at {0}?"], "menu": ["What can I eat at {0}?"], "dress code": ["What should I wear to {0}?"],
    "exchange rate": ["How much is one {0} worth?"], "calories": ["How many calories does {0} have?"], "schedule": ["What is planned for {0}?"], "manual": ["How does {0} work?", "How do I use {0}?"],
}
OWNERS: dict[str, str] = {
    "product": "item", "person": "person", "user": "person", "customer": "person", "employee": "person", "student": "person", "book": "title", "movie": "title", "song": "title", "city": "place",
    "country": "country", "company": "company", "building": "proper", "river": "proper", "mountain": "proper", "planet": "proper", "star": "proper", "ship": "proper", "car": "proper", "animal": "animal",
    "plant": "plant", "food": "food", "dish": "dish", "museum": "proper", "shop": "proper", "library": "package", "package": "package", "project": "proper", "device": "device", "machine": "code",
    "order": "code", "flight": "flight", "event": "event", "team": "team", "game": "game", "player": "person", "word": "word", "room": "room", "server": "service", "file": "path", "ticket": "code",
    "course": "subject", "station": "place", "bridge": "proper", "island": "proper", "language": "lang", "drug": "drug", "sensor": "code", "account": "acct", "website": "domain", "hotel": "hotel",
}
# action: verbs in a name -> how a request says it
ACTIONS: dict[str, list[str]] = {
    "delete": ["delete", "remove", "erase", "get rid of"], "create": ["create", "make", "set up"], "open": ["open", "open up"], "close": ["close", "shut"], "start": ["start", "begin", "launch"],
    "stop": ["stop", "end", "halt"], "update": ["update", "refresh", "bring up to date"], "archive": ["archive", "put away", "store"], "rename": ["rename", "give a new name to"],
    "share": ["share", "make public"], "print": ["print", "put on paper"], "export": ["export", "write out"], "import": ["import", "bring in", "load"], "lock": ["lock", "lock up"],
    "unlock": ["unlock"], "send": ["send", "send off", "mail"], "approve": ["approve", "accept", "say yes to"], "reject": ["reject", "refuse", "turn down", "say no to"],
    "buy": ["buy", "purchase", "get me"], "sell": ["sell", "get money for"], "rent": ["rent", "hire"], "book": ["book", "reserve"], "cancel": ["cancel", "call off"], "pay": ["pay", "pay for", "settle"],
    "repair": ["repair", "fix", "mend"], "clean": ["clean", "wash", "tidy up"], "paint": ["paint"], "build": ["build", "put together"], "test": ["test", "try out", "check"], "copy": ["copy", "duplicate"],
    "move": ["move", "shift"], "hide": ["hide"], "show": ["show", "display", "let me see"], "list": ["list", "show all of"], "find": ["find", "look for", "search for"], "count": ["count", "tell the number of"],
    "measure": ["measure"], "weigh": ["weigh"], "follow": ["follow", "keep an eye on", "watch"], "block": ["block", "keep out"], "invite": ["invite", "ask to come"], "call": ["call", "phone", "ring"],
    "wake": ["wake", "wake up"], "feed": ["feed", "give food to"], "water": ["water", "give water to"], "charge": ["charge", "load up"], "pause": ["pause", "hold"], "resume": ["resume", "go on with", "continue"],
    "record": ["record", "tape"], "play": ["play", "put on"], "download": ["download", "fetch"], "upload": ["upload", "put online"], "install": ["install", "set up"], "restart": ["restart", "start again"],
    "save": ["save", "keep"], "restore": ["restore", "bring back", "recover"], "lend": ["lend", "lend out"], "return": ["return", "give back", "bring back"], "borrow": ["borrow"],
    "like": ["like", "give a like to"], "rate": ["rate", "give stars to"], "review": ["review", "look over"], "sign": ["sign", "put my name under"], "scan": ["scan"], "encrypt": ["encrypt", "make unreadable"],
    "translate": ["translate"], "summarize": ["summarize", "make shorter", "sum up"], "explain": ["explain", "make clear"], "compare": ["compare"], "sort": ["sort", "put in order"], "draw": ["draw", "sketch"],
}
OBJECTS: dict[str, str] = {
    "order": "code", "ticket": "code", "invoice": "code", "report": "thing", "file": "path", "folder": "folder", "document": "path", "account": "acct", "user": "person", "meeting": "event", "event": "event",
    "note": "thing", "task": "todo", "door": "door", "window": "room", "device": "device", "light": "room", "room": "room", "table": "tablename", "service": "service", "server": "service", "song": "title",
    "movie": "title", "book": "title", "car": "proper", "bike": "code", "parcel": "code", "letter": "code", "customer": "person", "guest": "person", "friend": "first", "dog": "first", "cat": "first",
    "plant": "plant", "page": "url", "branch": "branch", "project": "proper", "playlist": "thing", "album": "title", "photo": "path", "video": "path", "contract": "code", "machine": "code", "robot": "first",
    "job": "code", "build": "code", "subscription": "code", "flight": "flight", "hotel": "hotel", "alarm": "time", "reminder": "todo", "game": "game", "recipe": "dish", "course": "subject", "group": "thing",
}
LOOKUP_NAMES = ["get_{a}", "{a}_of_{o}", "{o}_{a}", "find_{a}", "lookup_{a}", "get_{o}_{a}", "{a}", "{a}_lookup", "fetch_{a}", "check_{a}", "show_{a}", "{a}_finder", "query_{a}"]
LOOKUP_DESCS = ["Get the {a} of {an}.", "The {a} of {an}.", "Look up the {a} of {an}.", "Returns the {a} of the given {o}.", "Find the {a} of {an}.", "Tells the {a} of {an}.", "{A} of {an}."]


def snake(text: str) -> str:
    return text.replace(" ", "_")


def attribute(w: Words, owner: str = "") -> Kind:
    """the {attribute} of a {thing}"""
    a, o = w.one(list(ATTRIBUTES)), owner or w.one(list(OWNERS))
    asks = ATTRIBUTES[a]
    maker = OWNERS[o]
    ref = w.one(("{0}", "{0}", "the " + o + " {0}"))
    np = [f"the {a} of {ref}", f"the {a} of {ref}"] + (["{0}'s " + a] if maker in ("person", "first", "proper", "company") else [])
    names = [n.format(a=snake(a), o=o) for n in LOOKUP_NAMES]
    descs = [d.format(a=a, o=o, an=a_an(o), A=a.capitalize()) for d in LOOKUP_DESCS]
    descs += [f"Answers: {w.one(asks).replace('{0}', a_an(o))}", w.one(asks).replace("{0}", "the " + o)]
    param = Param((o, "name", o + "_name", o, "id" if maker == "code" else "query"), "string", maker)
    return Kind("made:" + a, names, descs, [param], np, [f"look up the {a} of {ref}", f"find the {a} of {ref}"],
                [q.replace("{0}", ref) for q in asks], "any", ("attribute", o))


def action(w: Words, target: str = "") -> Kind:
    """{verb} a {thing}"""
    v, o = w.one(list(ACTIONS)), target or w.one(list(OBJECTS))
    ref = w.one(("{0}", "the " + o + " {0}", "the " + o + " {0}", o + " {0}", "my " + o + " {0}"))
    names = [f"{v}_{o}", f"{o}_{v}", f"{v}_{o}", f"{v}_a_{o}", v]
    descs = [f"{v.capitalize()} {a_an(o)}.", f"{v.capitalize()}s {a_an(o)}.", f"{v.capitalize()} the given {o}.", f"{v.capitalize()} one {o}."]
    said = w.one(ACTIONS[v])  # the description may say it in other words than the name and the request
    descs += [f"{said.capitalize()} {a_an(o)}.", f"Use this to {said} {a_an(o)}.", f"{said.capitalize()} the {o} of that name."]
    param = Param((o, "name", o + "_id", o, "id", "target"), "string", OBJECTS[o])
    asks = [f"{ref[0].upper() + ref[1:]}: {v} it." if ref[0] != "{" else "{0}: " + v + " it, please.", f"I want {ref} gone." if v == "delete" else f"Will you {v} {ref}?"]
    return Kind("made:" + w.one((v, o)), names, descs, [param], [], [f"{s} {ref}" for s in ACTIONS[v]], asks, "done", ("action", o))


def invented(w: Words) -> Kind:
    """A tool for something that does not exist, with up to three parameters."""
    noun = w.invented(1, 2) if w.chance(.6) else w.one(NOUN)
    verb = w.invented(1, 2) if w.chance(.25) else w.one(VERB)
    n = w.one((0, 1, 1, 1, 2, 2, 3))
    types = [w.one(("string", "string", "string", "integer", "number")) for _ in range(n)]
    pool = w.r.sample(["city", "name", "user", "item", "key", "path", "day", "topic", "place", "person", "word", "query", "code", "id", "input", "amount", "count", "level",
                       "color", "size", "a", "b", "x", "y", "limit", "unit", "text", "value", "target", "source", w.invented(1, 2), w.one(NOUN)], n)
    params = [Param((p,), t, "num" if t != "string" else w.one(("phrase", "phrase", "proper", "thing", "word", "code", "first"))) for p, t in zip(pool, types, strict=True)]
    names = [f"{verb}_{noun}", f"{noun}_{w.one(('tool', 'service', 'lookup', 'info', 'function'))}", noun, f"get_{noun}", f"{verb}_{noun}", f"{verb}_the_{noun}"]
    descs = [f"{verb.capitalize()} the {noun}.", f"Get the {noun}.", f"A tool for the {noun}.", f"Returns the {noun}.", f"{verb.capitalize()} a {noun}.", f"The {noun}."]
    if n == 0:
        return Kind("invented", names, descs, [], [f"the {noun}"], [f"{verb} the {noun}", "use {N}", "call {N}"], [f"I need the {noun}."], "any")
    if n == 1:
        prep = w.one(("of", "for", "in", "with", "to"))
        return Kind("invented", names, descs, params, [f"the {noun} {prep} {{0}}", f"the {w.one(ADJ)} {noun} {prep} {{0}}"], [f"{verb} the {noun} {prep} {{0}}", "use {N} on {0}"],
                    [f"I want the {noun} {prep} {{0}}.", f"{noun} {prep} {{0}}?", "{N}({0})"], "any")
    pairs = [w.one((f"{p} {{{i}}}", f"{p}={{{i}}}", f"{p} = {{{i}}}", f"the {p} {{{i}}}")) for i, p in enumerate(pool)]
    if w.chance(.4):
        w.r.shuffle(pairs)
    tail = (", ".join(pairs[:-1]) + " and " + pairs[-1])
    return Kind("invented", names, descs, params, [f"the {noun} with {tail}", f"the {noun} for {tail}"], [f"{verb} the {noun} with {tail}", f"call {{N}} with {tail}"],
                [f"I need a {noun} with {tail}."], "any")


WORD_ASKS = ["{X} of {0}?", "Has {0} got a {x}?", "Is there a {x} for {0}?", "I need a {x} for {0}.", "Which {x} does {0} have?", "{0} needs a {x}.", "What about the {x} of {0}?", "{X} for {0}, please.", "{X} {0}",
             "The {x} of {0} would interest me.", "Do you have the {x} of {0}?", "How is the {x} of {0}?", "Tell me about the {x} that {0} has.", "Are there any {x}s in {0}?", "Where is the {x} of {0}?", "Which {x}s are there for {0}?"]
VERB_ASKS = ["{V} {0}, it is important.", "{V} {0} at once!", "I have to {v} {0}, help me.", "Can {0} be {v}ed?", "{0} has to be {v}ed.", "Will you {v} {0} today?", "When can you {v} {0}?", "Don't forget to {v} {0}.", "{V} {o} {0}, please.", "My boss says I should {v} {0}."]
OF = ["place", "person", "item", "code", "proper", "service", "path", "title"]


def by_word(w: Words, shared: str = "") -> Kind:
    """A kind that only one word tells from its siblings: the same argument, the same forms. Teaches to match words."""
    o, _, maker = (shared or w.one(("name", "id", "query", "input", "item", "city", "user", "key", "target")) + ":" + w.one(OF)).partition(":")
    param = Param((o,), "string", maker)
    if w.chance(.5):
        x = w.one((w.invented(1, 2), w.one(NOUN), w.one(NOUN), w.one(ADJ) + " " + w.one(NOUN), w.one(NOUN) + " " + w.one(NOUN)))
        names = [f"{b}{snake(x)}{e}" for b, e in (("get_", ""), ("", ""), ("", "_info"), ("find_", ""), ("", "_of"), (w.one(VERB) + "_", ""))]
        descs = [f"The {x} of a {o}.", f"Get the {x}.", f"{x.capitalize()} of a {o}.", f"Says which {x} a {o} has.", f"All about the {x}.", f"{x.capitalize()}s of the {o}.", f"Finds a {x}."]
        np = [f"the {x} of {{0}}", f"the {x} for {{0}}", f"{{0}}'s {x}"]
        return Kind("words", names, descs, [param], np, [f"find the {x} of {{0}}", f"see the {x} of {{0}}"], [q.replace("{x}", x).replace("{X}", x.capitalize()) for q in WORD_ASKS], "any", ("word", f"{o}:{maker}"))
    v = w.one((w.invented(1, 2), w.one(VERB), w.one(VERB), w.one(list(ACTIONS))))
    names = [f"{v}_{o}", v, f"{o}_{v}", f"{v}_it", f"do_{v}", f"{v}er"]
    descs = [f"{v.capitalize()} a {o}.", f"{v.capitalize()}s the {o}.", f"{v.capitalize()}ing.", f"To {v} something.", f"Use it to {v} a {o}.", f"{v.capitalize()}."]
    asks = [q.replace("{v}", v).replace("{V}", v.capitalize()).replace("{o}", o) for q in VERB_ASKS]
    return Kind("words", names, descs, [param], [], [f"{v} {{0}}", f"{v} the {o} {{0}}", f"{v} {{0}} for me"], asks, "any", ("word", f"{o}:{maker}"))


def sibling(w: Words, kind: Kind) -> Kind:
    """Another kind on the same thing: only the verb or the attribute tells them apart."""
    make = {"action": action, "attribute": attribute, "word": by_word, "concept": concept_kind}[kind.about[0]]
    return make(w, kind.about[1])


MAKERS = (attribute, attribute, attribute, action, action, invented, by_word, by_word, by_word, concept_kind, concept_kind, concept_kind, concept_kind)


def made_kind(w: Words) -> Kind:
    return w.one(MAKERS)(w)
