/**
 * The limits of a queue on PostgreSQL: a table, an index and functions beside BullMQ's, made when a queue gets limits for the
 * first time. A job that its key holds back is a delayed one whose time never comes. Those who claim jobs of such a queue take
 * turns; and so that BullMQ's own functions give none of its jobs away, its rate limit is set to none at all.
 */

/** In `meta`. */
const limitsField = 'taskwarden:limits';

/** The time of a delayed job that is held back, in epoch milliseconds. */
export const far = 9_007_199_254_740_991;

/** As long as BullMQ's own rate limit holds at least while a queue has limits, in milliseconds. */
const guardMs = 2 ** 40;

/** Jobs with a key: `?` and `->>` as the index has them. */
const keyed = (key: string) => `queue = p_queue AND opts ? 'taskwarden:key' AND opts->>'taskwarden:key' = ${key}`;
const head = (key: string) =>
  `FROM job WHERE ${keyed(key)} AND state = 'delayed' AND process_at_ms = ${far} ORDER BY priority, seq LIMIT 1`;

const rowOf = (key: string) => `queue = p_queue AND key = ${key}`;

/** To see whether all that follows is there. */
export const areMade = `SELECT to_regproc('taskwarden_claim') IS NOT NULL AS are_made`;

/** All at once, in a transaction. Of a key: when its next start would be due, when to look at it again, and its first job if it may start. */
export const make: string = `
SELECT pg_advisory_xact_lock(hashtext('taskwarden:limits'));
CREATE TABLE IF NOT EXISTS taskwarden_key (
  queue text NOT NULL, key text NOT NULL,
  arrival double precision NOT NULL DEFAULT 0, check_at double precision, ready_priority integer, ready_seq bigint,
  PRIMARY KEY (queue, key)
);
CREATE INDEX IF NOT EXISTS taskwarden_ready_idx ON taskwarden_key (queue, ready_priority, ready_seq) WHERE ready_priority IS NOT NULL;
CREATE INDEX IF NOT EXISTS taskwarden_check_idx ON taskwarden_key (queue, check_at) WHERE check_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS taskwarden_job_idx ON job (queue, (opts->>'taskwarden:key'), state, priority, seq)
  WHERE state IN ('active', 'delayed') AND opts ? 'taskwarden:key';

-- When a key lets its next job start; 0: now.
CREATE OR REPLACE FUNCTION taskwarden_open_at(p_queue text, p_key text, p_max integer, p_interval double precision,
  p_tolerance double precision, p_now double precision, p_lock_now bigint)
RETURNS double precision LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v_count bigint;
  v_first bigint;
  v_at double precision;
BEGIN
  IF p_max IS NOT NULL THEN
    SELECT count(*), min(locked_until_ms) INTO v_count, v_first FROM job
     WHERE ${keyed('p_key')} AND state = 'active' AND locked_until_ms >= p_lock_now;
    IF v_count >= p_max THEN RETURN p_now + greatest(v_first - p_lock_now, 0) + 1; END IF;
  END IF;
  IF p_interval IS NOT NULL THEN
    SELECT arrival - p_tolerance INTO v_at FROM taskwarden_key WHERE ${rowOf('p_key')};
    IF v_at > p_now THEN RETURN v_at; END IF;
  END IF;
  RETURN 0;
END $$;

-- Looks for the next job that a key holds back: the key may be open, or is forgotten.
CREATE OR REPLACE FUNCTION taskwarden_ready(p_queue text, p_key text, p_now double precision) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v_priority integer;
  v_seq bigint;
BEGIN
  SELECT priority, seq INTO v_priority, v_seq ${head('p_key')};
  IF v_seq IS NULL THEN
    DELETE FROM taskwarden_key WHERE ${rowOf('p_key')} AND arrival <= p_now;
  END IF;
  UPDATE taskwarden_key SET ready_priority = v_priority, ready_seq = v_seq,
         check_at = CASE WHEN v_seq IS NULL THEN arrival END
   WHERE ${rowOf('p_key')};
END $$;

CREATE OR REPLACE FUNCTION taskwarden_start(p_queue text, p_id text, p_token text, p_lock_ms bigint, p_now bigint) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  UPDATE job SET state = 'active', delay_ms = 0, process_at_ms = NULL, lock_token = p_token, locked_until_ms = p_now + p_lock_ms,
         processed_at_ms = p_now, attempts_started = attempts_started + 1
   WHERE queue = p_queue AND id = p_id;
  PERFORM publish_event(p_queue, 'active', jsonb_build_object('jobId', p_id, 'prev', 'waiting'));
END $$;

CREATE OR REPLACE FUNCTION taskwarden_count(p_queue text, p_key text, p_interval double precision, p_now double precision) RETURNS void
LANGUAGE sql SET search_path FROM CURRENT AS $$
  INSERT INTO taskwarden_key AS k (queue, key, arrival, check_at) VALUES (p_queue, p_key, p_now + p_interval, p_now + p_interval)
  ON CONFLICT (queue, key) DO UPDATE SET arrival = greatest(k.arrival, p_now) + p_interval,
    check_at = coalesce(k.check_at, greatest(k.arrival, p_now) + p_interval)
$$;

CREATE OR REPLACE FUNCTION taskwarden_claim(p_queue text, p_max integer, p_normal integer, p_tokens text[], p_lock_ms bigint, p_now bigint)
RETURNS jsonb LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v_limits jsonb;
  v_per_key boolean;
  v_max integer;
  v_interval double precision;
  v_tolerance double precision;
  v_key_interval double precision;
  v_now double precision := extract(epoch FROM clock_timestamp()) * 1000;
  v_found text[] := '{}';
  v_most integer := cardinality(p_tokens);
  v_steps integer := 0;
  v_waits double precision;
  v_at double precision;
  v_id text; v_priority integer; v_seq bigint; v_key text;
  v_open text; v_open_priority integer; v_open_seq bigint;
  v_first_priority integer; v_first_seq bigint;
  v_changed boolean := false;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('taskwarden:limits:' || p_queue));
  SELECT value::jsonb INTO v_limits FROM meta WHERE queue = p_queue AND field = '${limitsField}';
  IF v_limits IS NULL OR (v_limits = '{}' AND NOT EXISTS (SELECT 1 FROM taskwarden_key WHERE queue = p_queue AND key <> '')) THEN
    DELETE FROM meta WHERE queue = p_queue AND (field = '${limitsField}' OR (field IN ('max', 'duration')
       AND EXISTS (SELECT 1 FROM meta AS m WHERE m.queue = p_queue AND m.field = 'max' AND m.value = '0')));
    IF FOUND THEN DELETE FROM rate_limit WHERE queue = p_queue; END IF;
    DELETE FROM taskwarden_key WHERE queue = p_queue;
    RETURN jsonb_build_object('isLimited', false, 'ids', '[]'::jsonb);
  END IF;
  IF EXISTS (SELECT 1 FROM meta WHERE queue = p_queue AND field = 'paused' AND value = '1') THEN
    RETURN jsonb_build_object('isLimited', true, 'ids', '[]'::jsonb);
  END IF;
  v_max := (v_limits->>'maxPerKey')::integer;
  v_per_key := coalesce((v_limits->'rate'->>'perKey')::boolean, false);
  v_interval := (v_limits->'rate'->>'perMs')::double precision / (v_limits->'rate'->>'max')::double precision;
  v_tolerance := (coalesce((v_limits->'rate'->>'burst')::double precision, 1) - 1) * v_interval;
  IF v_per_key THEN
    v_key_interval := v_interval;
    v_interval := NULL;
  ELSE
    UPDATE taskwarden_key SET arrival = 0 WHERE queue = p_queue AND key <> '' AND arrival > 0 AND check_at <= v_now;
  END IF;
  SELECT least(v_most, greatest(0, value::integer - (SELECT count(*) FROM job WHERE queue = p_queue AND state = 'active')))
    INTO v_most FROM meta WHERE queue = p_queue AND field = 'concurrency';
  v_most := coalesce(v_most, cardinality(p_tokens));
  FOR v_id IN
    WITH promoted AS (
      UPDATE job SET state = 'waiting', delay_ms = 0 WHERE queue = p_queue AND state = 'delayed' AND process_at_ms <= p_now RETURNING id
    ) SELECT id FROM promoted
  LOOP
    PERFORM publish_event(p_queue, 'waiting', jsonb_build_object('jobId', v_id, 'prev', 'delayed'));
  END LOOP;
  FOR v_key IN SELECT key FROM taskwarden_key WHERE queue = p_queue AND key <> '' AND check_at <= v_now ORDER BY check_at LIMIT 100 LOOP
    PERFORM taskwarden_ready(p_queue, v_key, v_now);
  END LOOP;
  WHILE cardinality(v_found) < v_most AND v_steps < 1000 LOOP
    v_steps := v_steps + 1;
    IF v_interval IS NOT NULL THEN
      v_at := NULL;
      SELECT arrival - v_tolerance INTO v_at FROM taskwarden_key WHERE ${rowOf("''")};
      IF v_at > v_now THEN
        v_waits := v_at;
        EXIT;
      END IF;
    END IF;
    v_id := NULL; v_open := NULL;
    SELECT id, priority, seq, opts->>'taskwarden:key' INTO v_id, v_priority, v_seq, v_key FROM job
     WHERE queue = p_queue AND state = 'waiting' AND priority <= p_max AND (priority > 0 OR p_max >= p_normal)
     ORDER BY priority, seq LIMIT 1 FOR UPDATE SKIP LOCKED;
    SELECT key, ready_priority, ready_seq INTO v_open, v_open_priority, v_open_seq FROM taskwarden_key
     WHERE queue = p_queue AND ready_priority <= p_max ORDER BY ready_priority, ready_seq LIMIT 1;
    IF v_open IS NOT NULL AND (v_id IS NULL OR (v_open_priority, v_open_seq) < (v_priority, v_seq)) THEN
      v_at := taskwarden_open_at(p_queue, v_open, v_max, v_key_interval, v_tolerance, v_now, p_now);
      IF v_at > 0 THEN
        UPDATE taskwarden_key SET ready_priority = NULL, ready_seq = NULL, check_at = v_at WHERE ${rowOf('v_open')};
        v_changed := true;
        CONTINUE;
      END IF;
      v_id := NULL;
      SELECT id INTO v_id ${head('v_open')} FOR UPDATE SKIP LOCKED;
      IF v_id IS NOT NULL THEN
        v_found := v_found || v_id;
        PERFORM taskwarden_start(p_queue, v_id, p_tokens[cardinality(v_found)], p_lock_ms, p_now);
        IF v_interval IS NOT NULL THEN PERFORM taskwarden_count(p_queue, '', v_interval, v_now); END IF;
        IF v_key_interval IS NOT NULL THEN PERFORM taskwarden_count(p_queue, v_open, v_key_interval, v_now); END IF;
      END IF;
      PERFORM taskwarden_ready(p_queue, v_open, v_now);
    ELSIF v_id IS NOT NULL THEN
      IF v_key IS NOT NULL AND (v_max IS NOT NULL OR v_key_interval IS NOT NULL) THEN
        v_first_seq := NULL;
        SELECT priority, seq INTO v_first_priority, v_first_seq ${head('v_key')};
        v_at := taskwarden_open_at(p_queue, v_key, v_max, v_key_interval, v_tolerance, v_now, p_now);
        IF v_at > 0 OR (v_first_seq IS NOT NULL AND (v_first_priority, v_first_seq) < (v_priority, v_seq)) THEN
          UPDATE job SET state = 'delayed', process_at_ms = ${far} WHERE queue = p_queue AND id = v_id;
          INSERT INTO taskwarden_key AS k (queue, key, check_at) VALUES (p_queue, v_key, greatest(v_at, v_now))
          ON CONFLICT (queue, key) DO UPDATE SET
            check_at = CASE WHEN v_at > 0 THEN v_at WHEN k.ready_seq IS NULL THEN coalesce(k.check_at, v_now) ELSE k.check_at END,
            ready_priority = CASE WHEN v_at > 0 THEN NULL ELSE k.ready_priority END,
            ready_seq = CASE WHEN v_at > 0 THEN NULL ELSE k.ready_seq END;
          v_changed := true;
          CONTINUE;
        END IF;
      END IF;
      v_found := v_found || v_id;
      PERFORM taskwarden_start(p_queue, v_id, p_tokens[cardinality(v_found)], p_lock_ms, p_now);
      IF v_interval IS NOT NULL THEN PERFORM taskwarden_count(p_queue, '', v_interval, v_now); END IF;
      IF v_key_interval IS NOT NULL AND v_key IS NOT NULL THEN PERFORM taskwarden_count(p_queue, v_key, v_key_interval, v_now); END IF;
    ELSE
      EXIT;
    END IF;
  END LOOP;
  IF v_steps = 1000 THEN v_waits := v_now; END IF;
  SELECT least(v_waits, min(check_at)) INTO v_waits FROM taskwarden_key WHERE queue = p_queue AND key <> '' AND check_at IS NOT NULL;
  v_waits := greatest(v_waits - v_now, 0);
  SELECT least(v_waits, greatest(min(process_at_ms) - p_now, 0)) INTO v_waits FROM job
   WHERE queue = p_queue AND state = 'delayed' AND process_at_ms < ${far};
  IF v_changed OR cardinality(v_found) > 0 THEN PERFORM pg_notify('bullmq_jobs', p_queue); END IF;
  RETURN jsonb_build_object('isLimited', true, 'waitMs', ceil(v_waits), 'ids', to_jsonb(v_found));
END $$;`;

export const isLimited: string = `SELECT 1 FROM meta WHERE queue = $1 AND field = '${limitsField}'`;

export const claimLimited: string = 'SELECT taskwarden_claim($1, $2, $3, $4, $5, $6) AS claimed';

/** Three statements of one transaction. */
export const setLimits: Readonly<Record<'lock' | 'read' | 'write', string>> = {
  lock: `SELECT pg_advisory_xact_lock(hashtext('taskwarden:limits:' || $1))`,
  read: `SELECT value FROM meta WHERE queue = $1 AND field = '${limitsField}'`,
  write: `
WITH limits AS (
  INSERT INTO meta (queue, field, value) VALUES ($1, '${limitsField}', $2) ON CONFLICT (queue, field) DO UPDATE SET value = $2
), own AS (
  INSERT INTO meta (queue, field, value) VALUES ($1, 'max', '0'), ($1, 'duration', '1') ON CONFLICT DO NOTHING
), guard AS (
  INSERT INTO rate_limit (queue, points, expire_at_ms) VALUES ($1, 9007199254740991, $3::bigint + ${guardMs})
  ON CONFLICT (queue) DO UPDATE SET points = 9007199254740991, expire_at_ms = $3::bigint + ${guardMs}
), checked AS (
  UPDATE taskwarden_key SET check_at = 0 WHERE queue = $1 AND check_at IS NOT NULL AND key <> ''
)
SELECT pg_notify('bullmq_jobs', $1)`,
};

/** After the lock. */
export const leaveKey: string = `
WITH woken AS (
  UPDATE taskwarden_key SET check_at = 0 WHERE queue = $1 AND key = $2 AND check_at IS NOT NULL RETURNING 1
)
SELECT pg_notify('bullmq_jobs', $1) FROM woken`;

export const queueState: string = `
SELECT EXISTS (SELECT 1 FROM meta WHERE queue = $1 AND field = 'paused' AND value = '1') AS is_paused,
       (SELECT value FROM meta WHERE queue = $1 AND field = '${limitsField}') AS limits,
       ARRAY(SELECT count(job.id)::integer FROM generate_series(1, 4) AS p
               LEFT JOIN job ON job.queue = $1 AND state = 'delayed' AND process_at_ms = ${far} AND priority = p
              GROUP BY p ORDER BY p) AS held`;
