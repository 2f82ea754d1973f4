-- Times are microseconds since 1970, 0 for none.

CREATE TABLE installations (
	id BIGINT PRIMARY KEY,
	account TEXT NOT NULL,
	account_id BIGINT NOT NULL,
	account_type TEXT NOT NULL,
	suspended BOOLEAN NOT NULL,
	removed BOOLEAN NOT NULL,
	created BIGINT NOT NULL,
	updated BIGINT NOT NULL
);

-- Events come in any order, so a repository may be known before its installation.
CREATE TABLE repositories (
	id BIGINT PRIMARY KEY,
	installation BIGINT NOT NULL,
	owner TEXT NOT NULL,
	name TEXT NOT NULL,
	default_branch TEXT NOT NULL,
	private BOOLEAN NOT NULL,
	removed BOOLEAN NOT NULL,
	created BIGINT NOT NULL,
	updated BIGINT NOT NULL
);
CREATE INDEX repositories_installation ON repositories (installation);
CREATE INDEX repositories_name ON repositories (lower(owner), lower(name));

-- due is when a delivery may be taken: at once if it waits, at the end of the lease
-- if a node has it, never (NULL) once it is settled.
CREATE TABLE deliveries (
	guid TEXT PRIMARY KEY,
	event TEXT NOT NULL,
	action TEXT NOT NULL,
	installation BIGINT NOT NULL,
	repository BIGINT NOT NULL,
	received BIGINT NOT NULL,
	size BIGINT NOT NULL,
	state TEXT NOT NULL,
	note TEXT NOT NULL,
	tries BIGINT NOT NULL,
	node TEXT NOT NULL,
	due BIGINT
);
CREATE INDEX deliveries_due ON deliveries (installation, received, guid) WHERE due IS NOT NULL;
CREATE INDEX deliveries_received ON deliveries (received, guid);
CREATE INDEX deliveries_installation ON deliveries (installation, received);
CREATE INDEX deliveries_repository ON deliveries (repository, received);

-- Apart from deliveries, whose rows are written three times.
CREATE TABLE bodies (
	guid TEXT PRIMARY KEY REFERENCES deliveries (guid) ON DELETE CASCADE,
	body BLOB NOT NULL
);

-- Whose turn it is: the installation with the smallest number that has a delivery due.
CREATE TABLE turns (
	installation BIGINT PRIMARY KEY,
	served BIGINT NOT NULL
);

CREATE TABLE releases (
	id TEXT PRIMARY KEY,
	installation BIGINT NOT NULL,
	repository BIGINT NOT NULL,
	tag TEXT NOT NULL,
	commit_id TEXT NOT NULL,
	version TEXT NOT NULL,
	cause TEXT NOT NULL,
	state TEXT NOT NULL,
	step TEXT NOT NULL,
	short TEXT NOT NULL,
	detail TEXT NOT NULL,
	check_run BIGINT NOT NULL,
	attempt BIGINT NOT NULL,
	cancel BOOLEAN NOT NULL,
	created BIGINT NOT NULL,
	started BIGINT NOT NULL,
	ended BIGINT NOT NULL,
	report BLOB NOT NULL
);
CREATE INDEX releases_created ON releases (created);
CREATE INDEX releases_installation ON releases (installation, created);
CREATE INDEX releases_repository ON releases (repository, created);
CREATE INDEX releases_state ON releases (state, created);

-- version counts the changes of a release, its legs and its log: nodes compare it to
-- see what others did.
CREATE TABLE progress (
	release TEXT PRIMARY KEY REFERENCES releases (id) ON DELETE CASCADE,
	version BIGINT NOT NULL,
	log_seq BIGINT NOT NULL,
	log_bytes BIGINT NOT NULL,
	log_full BOOLEAN NOT NULL
);

CREATE TABLE legs (
	release TEXT NOT NULL REFERENCES releases (id) ON DELETE CASCADE,
	name TEXT NOT NULL,
	position BIGINT NOT NULL,
	kind TEXT NOT NULL,
	state TEXT NOT NULL,
	short TEXT NOT NULL,
	detail TEXT NOT NULL,
	n BIGINT NOT NULL,
	m BIGINT NOT NULL,
	bytes BIGINT NOT NULL,
	started BIGINT NOT NULL,
	ended BIGINT NOT NULL,
	PRIMARY KEY (release, name)
);

CREATE TABLE lines (
	release TEXT NOT NULL REFERENCES releases (id) ON DELETE CASCADE,
	seq BIGINT NOT NULL,
	at BIGINT NOT NULL,
	leg TEXT NOT NULL,
	text TEXT NOT NULL,
	PRIMARY KEY (release, seq)
);

CREATE TABLE sealed (
	scope TEXT NOT NULL,
	name TEXT NOT NULL,
	kind TEXT NOT NULL,
	public BLOB NOT NULL,
	sealed BLOB NOT NULL,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	PRIMARY KEY (scope, name)
);

CREATE TABLE settings (
	name TEXT PRIMARY KEY,
	value BLOB NOT NULL
);

CREATE TABLE publish_log (
	seq BIGINT PRIMARY KEY,
	at BIGINT NOT NULL,
	repository BIGINT NOT NULL,
	release TEXT NOT NULL,
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,
	digest TEXT NOT NULL,
	previous TEXT NOT NULL,
	hash TEXT NOT NULL
);
CREATE INDEX publish_log_repository ON publish_log (repository, seq);

CREATE TABLE nodes (
	node TEXT PRIMARY KEY,
	seen BIGINT NOT NULL
);

CREATE TABLE sessions (
	id_hash TEXT PRIMARY KEY,
	user_id BIGINT NOT NULL,
	login TEXT NOT NULL,
	token BLOB NOT NULL,
	expires BIGINT NOT NULL
);

CREATE TABLE tokens (
	scope TEXT NOT NULL,
	name TEXT NOT NULL,
	hash TEXT NOT NULL UNIQUE,
	actions BLOB NOT NULL,
	created BIGINT NOT NULL,
	last_used BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	made_by TEXT NOT NULL,
	PRIMARY KEY (scope, name)
);

CREATE TABLE quotas (
	kind TEXT NOT NULL,
	installation BIGINT NOT NULL,
	hour BIGINT NOT NULL,
	n BIGINT NOT NULL,
	PRIMARY KEY (kind, installation, hour)
);
