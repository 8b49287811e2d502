"""What is searched: words and pairs of characters of every feature, in one indexed column

Revision ID: 0005_features
Revises: 0004_imports
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005_features"
down_revision = "0004_imports"
branch_labels = None
depends_on = None

# Chinese has no blanks between words: every two neighbouring characters are one token, in their
# order, so that a word of two characters is one look into the index and a longer one a phrase. The
# last character of a run stands alone as well: one character is a prefix of a pair, or that one.
# Characters are told by their code points: what the server's locale calls a letter differs from
# machine to machine (under LC_CTYPE C no Chinese character is one). A loop and not regular
# expressions over pairs, which take twice as long: 40 us for a row with 60 characters of text.
SEARCH = """
CREATE FUNCTION riskmap.search_words(given text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Full-width letters become plain ones, halves of a character one.
    whole CONSTANT text := normalize(left(given, 2000), NFKC);
    plain text;
    letter text;
    code int;
    before text := '';
    found text := '';
BEGIN
    IF whole IS NULL OR whole = '' THEN
        RETURN ''::tsvector;
    END IF;
    -- Signs of ASCII part words: the parser would see a number in DZ-12, a host in a.b.
    plain := regexp_replace(whole, '[\\u0001-\\u002F\\u003A-\\u0040\\u005B-\\u0060\\u007B-\\u007F]+', ' ', 'g');
    IF octet_length(plain) = char_length(plain) THEN
        RETURN to_tsvector('pg_catalog.simple'::regconfig, plain);
    END IF;
    FOREACH letter IN ARRAY string_to_array(plain, NULL) LOOP
        code := ascii(letter);
        IF code < 8192 THEN  -- letters of alphabets
            found := found || CASE WHEN before = '' THEN '' ELSE ' ' || before || ' ' END || letter;
            before := '';
        ELSIF code < 11904 OR code BETWEEN 12288 AND 12292 OR code BETWEEN 12296 AND 12320 THEN
            found := found || ' ' || before || ' ';  -- signs, CJK punctuation
            before := '';
        ELSE
            found := found || ' ' || CASE WHEN before = '' THEN '' ELSE before || letter END;
            before := letter;
        END IF;
    END LOOP;
    RETURN to_tsvector('pg_catalog.simple'::regconfig, found || ' ' || before);
END $$;

CREATE FUNCTION riskmap.search_vector(first text, others text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN setweight(riskmap.search_words(first), 'A') || riskmap.search_words(others);
END $$;
REVOKE ALL ON FUNCTION riskmap.search_words(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION riskmap.search_vector(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION riskmap.search_words(text) TO riskmap_api;
GRANT EXECUTE ON FUNCTION riskmap.search_vector(text, text) TO riskmap_api;
"""

# As in 0002_feed and 0004_imports, with the new column beside geom_3857 (<touched>, <left out>).
FUNCTIONS = """
CREATE OR REPLACE FUNCTION riskmap.feature_touch() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    NEW.id := OLD.id;
    NEW.created_at := OLD.created_at;
    NEW.version := OLD.version;
    NEW.updated_at := OLD.updated_at;
    NEW.geom_3857 := OLD.geom_3857;  -- computed after this trigger, whatever stands here
<touched>    IF NEW IS NOT DISTINCT FROM OLD THEN
        RETURN NULL;
    END IF;
    NEW.version := OLD.version + 1;
    NEW.updated_at := now();
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION riskmap.history_keep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET extra_float_digits = 1
AS $$
DECLARE
    superseded CONSTANT text := CASE TG_OP
        WHEN 'TRUNCATE' THEN format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME) ELSE 'old_rows' END;
    kept text;
BEGIN
    SELECT string_agg(format('o.%I', attname), ', ' ORDER BY attnum) INTO kept
    FROM pg_attribute
    WHERE attrelid = TG_RELID AND attnum > 0 AND NOT attisdropped
        AND attname NOT IN ('geom', 'geom_3857'<left out>);
    EXECUTE format(
        'INSERT INTO public.history (layer, feature_id, version, op, "row", geom, actor, request_id, import_id)'
        ' SELECT $1, o.id, o.version, $2, to_jsonb(k), o.geom, riskmap.actor(), riskmap.request(), riskmap.import_id()'
        ' FROM %s o CROSS JOIN LATERAL (SELECT %s) k', superseded, kept)
    USING TG_ARGV[0], lower(TG_OP);
    RETURN NULL;
END $$;
"""

# Texts of each layer that are searched beside code, name, name_en and address.
OTHERS: dict[str, tuple[str, ...]] = {
    "fault_lines": (),
    "flash_flood_zones": ("watershed",),
    "flood_impact_areas": ("watershed",),
    "geohazard_points": ("unified_code",),
    "risk_records": ("category", "sector", "description"),
    "major_hazard_sources": ("enterprise_code", "filing_no"),
    "enterprises": ("uscc",),
    "shelters": (),
    "rescue_teams": (),
    "supply_depots": (),
    "admin_divisions": (),
    "population_cells": (),
    "land_cover": (),
}


def _functions(touched: str, left_out: str) -> str:
    text = FUNCTIONS.replace("<touched>", touched).replace("<left out>", left_out)
    return text.replace("%", "%%")  # the driver takes a lone % for a placeholder


def _joined(names: tuple[str, ...]) -> str:
    return " || ' ' || ".join(f"coalesce({name}, '')" for name in names)


def upgrade() -> None:
    run = op.get_bind().exec_driver_sql
    run(SEARCH)
    run(_functions("    NEW.search := OLD.search;\n", ", 'search'"))
    for table, others in OTHERS.items():
        first, rest = _joined(("code", "name", "name_en")), _joined((*others, "address"))
        op.add_column(
            table,
            sa.Column(
                "search",
                postgresql.TSVECTOR(),
                sa.Computed(f"riskmap.search_vector({first}, {rest})", persisted=True),
                nullable=True,
            ),
        )
        op.create_index(op.f(f"ix_{table}_search"), table, ["search"], postgresql_using="gin")


def downgrade() -> None:
    run = op.get_bind().exec_driver_sql
    for table in OTHERS:
        op.drop_index(op.f(f"ix_{table}_search"), table)
        op.drop_column(table, "search")
    run(_functions("", ""))
    run("DROP FUNCTION riskmap.search_vector(text, text)")
    run("DROP FUNCTION riskmap.search_words(text)")
