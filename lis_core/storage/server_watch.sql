-- The server's part of watching (5.3.5, 5.3.6), applied by the server's administrator, because only he may: the
-- server's own log becomes readable by SQL, and what changes the schema is taken out of it. All of it belongs to him: neither the program nor the
-- owner of the schema can bend it. Each statement may be repeated.

create schema if not exists izleme;
revoke all on schema izleme from public;

create table if not exists izleme.sema_gunlugu (
    veritabani_gunlugu_kodu bigint generated always as identity primary key,
    zaman timestamptz not null,
    veritabani_kullanicisi text not null,
    uygulama text not null,
    adres text not null,
    surec integer not null,
    islem text not null,
    nesne text not null,
    deyim text not null,
    oturum text not null,
    satir bigint not null,
    zincire_alinma_zamani timestamptz,
    unique (oturum, satir)
);
comment on table izleme.sema_gunlugu is 'Semayi, haklari ve korumalari degistiren deyimler: kim, nereden; sunucunun gunlugunden';

-- The server's own log as rows: who asked what when, what was refused. The program's own statements are not in it, its
-- failed ones are; what people do through the program stands in `denetim`. Needs jsonlog (PostgreSQL 15 or newer).
-- p_bayt: at most so much of the end of each day's file.
create or replace function izleme.erisimler(
    p_ilk timestamptz default now() - interval '1 day', p_son timestamptz default 'infinity', p_bayt bigint default 33554432
) returns table (zaman timestamptz, kullanici text, veritabani text, adres text, uygulama text, oturum text, satir bigint,
                 basarili boolean, deyim text, hata text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    with dosya as (
        select current_setting('log_directory') || '/' || d.name as yol, d.size
        from pg_ls_dir(current_setting('log_directory')) n(name)
        cross join lateral (select n.name, f.size, f.modification from pg_stat_file(
            current_setting('log_directory') || '/' || n.name, true) f) d
        where d.name like '%.json' and d.modification >= p_ilk
    ), metin as (
        select convert_from(case when size > p_bayt then substring(icerik from position('\x0a'::bytea in icerik) + 1)
                                 else icerik end, 'UTF8') as metin
        from dosya cross join lateral pg_read_binary_file(yol, greatest(size - p_bayt, 0), p_bayt, true) icerik
    ), kayit as (
        select k, (k ->> 'timestamp')::timestamptz as zaman, k ->> 'session_id' as oturum, (k ->> 'line_num')::bigint as satir,
               k ->> 'message' as mesaj, k ->> 'error_severity' as onem
        from metin cross join lateral regexp_split_to_table(metin, E'\n') as t(s)
        cross join lateral (select t.s::jsonb as k) j
        where s like '{%}' and k ->> 'backend_type' = 'client backend' and k ->> 'dbname' = current_database()
    ), anlamli as (
        select *, case when onem = 'LOG' then substring(mesaj from '^(?:statement|execute [^:]+): (.*)$') end as calisan
        from kayit
        where onem in ('ERROR', 'FATAL', 'PANIC') or mesaj ~ '^(statement|execute [^:]+|connection authorized):'
    ), sirali as (
        select *, coalesce(lead(onem) over w in ('ERROR', 'FATAL', 'PANIC') and lead(k ->> 'statement') over w = calisan,
                           false) as bozuldu,
               lead(mesaj) over w as sonraki_hata, coalesce(lag(calisan) over w = k ->> 'statement', false) as soylendi
        from anlamli window w as (partition by oturum order by satir)
    )
    select zaman, k ->> 'user', k ->> 'dbname', coalesce(nullif(k ->> 'remote_host', '[local]'), 'yerel'),
           coalesce(k ->> 'application_name', ''), oturum, satir, onem = 'LOG' and not bozuldu,
           coalesce(calisan, k ->> 'statement', mesaj),
           case when onem <> 'LOG' then mesaj when bozuldu then sonraki_hata end
    from sirali
    where zaman >= p_ilk and zaman < p_son and (onem = 'LOG' or not soylendi)
$$;
revoke execute on function izleme.erisimler(timestamptz, timestamptz, bigint) from public;

-- Statements of the log that change the schema, rights, or what protects the data, done or refused, are kept here; how many
-- are new. A session of the program's own upkeep (migrations, rights) is one row.
create or replace function izleme.gunlugu_al() returns integer language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_yeni integer;
begin
    insert into izleme.sema_gunlugu (zaman, veritabani_kullanicisi, uygulama, adres, surec, islem, nesne, deyim, oturum, satir)
    select e.zaman, e.kullanici, e.uygulama, e.adres, ('x' || lpad(split_part(e.oturum, '.', 2), 8, '0'))::bit(32)::integer,
           lower(substring(regexp_replace(e.deyim, e'--[^\\n]*\\n', '', 'g') from e'(?i)\\m(create|alter|drop|grant|revoke|truncate|reassign|set|comment|copy|load)\\M'))
           || case when e.basarili then '' else ' (reddedildi)' end,
           coalesce(substring(regexp_replace(e.deyim, e'--[^\\n]*\\n', '', 'g') from e'(?i)\\m(?:table|view|function|trigger|role|database|system|schema|type|on)\\s+'
                                           '((?:if (?:not )?exists\\s+)?["\\w.]+)'), ''),
           left(e.deyim, 4000), e.oturum, e.satir
    from (select *, row_number() over (partition by oturum order by satir) as n
          from izleme.erisimler((select coalesce(max(zaman) - interval '1 hour', now() - interval '2 days')
                                 from izleme.sema_gunlugu))
          where deyim ~* e'\\m(create|alter|drop|grant|revoke|truncate|reassign|session_replication_role|comment on|load|program)\\M'
            and deyim not like 'connection authorized:%') e
    where e.uygulama not like 'numune-%' or e.n = 1
    on conflict do nothing;
    get diagnostics v_yeni = row_count;
    return v_yeni;
end $$;
revoke execute on function izleme.gunlugu_al() from public;
