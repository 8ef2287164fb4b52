-- Who reaches the data without the program (5.3.5, 5.3.6): every statement that changes rows or tables and does not come
-- from the program is kept with its user, program, address, time and text. The triggers fire always, also where a session
-- calls itself a replica; who switches one off or drops it is kept by the server's part (server_watch.sql).

-- Does this session belong to somebody else than the program? Inlined by the planner: nothing is called for it.
create function disaridan() returns boolean language sql stable as $$
    select current_setting('application_name') not like 'numune%' and pg_trigger_depth() = 0
$$;

create function dis_degisikligi_yaz() returns trigger language plpgsql
security definer set search_path = public, pg_temp as $$
begin
    insert into veritabani_gunlugu (zaman, veritabani_kullanicisi, uygulama, adres, surec, islem, nesne, deyim)
    values (clock_timestamp(), session_user, current_setting('application_name'),
            coalesce(host(inet_client_addr()), 'yerel'), pg_backend_pid(), lower(tg_op),
            format('%s.%s', tg_table_schema, tg_table_name), left(current_query(), 4000));
    return null;
end $$;

-- Puts the trigger on every table that has none yet; how many were new.
create function tablolari_izle() returns integer language plpgsql
security definer set search_path = public, pg_temp as $$
declare
    v record;
    v_yeni integer := 0;
begin
    for v in select c.oid::regclass as tablo from pg_class c
             where c.relnamespace in ('public'::regnamespace, 'bolum'::regnamespace) and c.relkind in ('r', 'p')
               and c.relname <> 'veritabani_gunlugu'
               and not exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgname = 'zz_disaridan')
    loop
        execute format('create trigger zz_disaridan after insert or update or delete or truncate on %s '
                       'for each statement when (disaridan()) execute function dis_degisikligi_yaz()', v.tablo);
        execute format('alter table %s enable always trigger zz_disaridan', v.tablo);
        v_yeni := v_yeni + 1;
    end loop;
    return v_yeni;
end $$;

select tablolari_izle();

-- The log itself: rows are only added; all that may change is that a row went into the audit chain.
create function veritabani_gunlugu_korunur() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and old.zincire_alinma_zamani is null and new.zincire_alinma_zamani is not null
       and to_jsonb(new) - 'zincire_alinma_zamani' = to_jsonb(old) - 'zincire_alinma_zamani' then
        return new;
    end if;
    raise exception 'veritabani_gunlugu satirlari silinemez ve degistirilemez' using errcode = 'integrity_constraint_violation';
end $$;
create trigger veritabani_gunlugu_degismez before update or delete on veritabani_gunlugu
    for each row execute function veritabani_gunlugu_korunur();
create trigger veritabani_gunlugu_bosaltilamaz before truncate on veritabani_gunlugu
    for each statement execute function degistirilemez();
alter table veritabani_gunlugu enable always trigger veritabani_gunlugu_degismez;
alter table veritabani_gunlugu enable always trigger veritabani_gunlugu_bosaltilamaz;

-- A statement without what stands in quotes and without numbers: values and names of patients stay out of the chain.
create function deyim_degersiz(p_deyim text) returns text language sql immutable parallel safe as $$
    select regexp_replace(regexp_replace(p_deyim, $d$\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*('|$)$d$, '''...''', 'g'),
                          '(?<![\w$])\d+(\.\d+)?', '...', 'g')
$$;

-- What is new goes into the audit chain `veritabani`, without values, with the digest of the whole statement: changes of
-- rows from here, of the schema from the server's part where there is one.
create function dis_degisiklikleri_zincire_al(p_en_cok integer default 1000) returns integer language plpgsql
security definer set search_path = public, pg_temp as $$
declare
    v_tablo text;
    v_kayitlar jsonb;
    v_kodlar bigint[];
    v_toplam integer := 0;
begin
    if to_regprocedure('izleme.gunlugu_al()') is not null
       and has_schema_privilege('izleme', 'usage') and has_function_privilege('izleme.gunlugu_al()', 'execute') then
        perform izleme.gunlugu_al();
    end if;
    foreach v_tablo in array array['public.veritabani_gunlugu', 'izleme.sema_gunlugu'] loop
        continue when to_regclass(v_tablo) is null;
        execute format($d$
            select jsonb_agg(jsonb_build_object(
                       'zaman', g.zaman, 'yapan', 'veritabanı: ' || g.veritabani_kullanicisi, 'adres', g.adres, 'islem', %L,
                       'nesne_turu', left(regexp_replace(g.nesne, '^public\.', ''), 40),
                       'nesne_kodu', %L || ' ' || g.veritabani_gunlugu_kodu,
                       'sonraki', jsonb_build_object(
                           'sql', g.islem, 'uygulama', g.uygulama, 'surec', g.surec, 'deyim', deyim_degersiz(g.deyim),
                           'deyim_sha256', encode(sha256(convert_to(g.deyim, 'UTF8')), 'hex')))
                       order by g.veritabani_gunlugu_kodu),
                   array_agg(g.veritabani_gunlugu_kodu)
            from (select * from %s where zincire_alinma_zamani is null
                  order by veritabani_gunlugu_kodu limit $1 for update skip locked) g $d$,
            case v_tablo when 'public.veritabani_gunlugu' then 'disaridan_degisiklik' else 'sema_degisikligi' end,
            split_part(v_tablo, '.', 2), v_tablo)
        into v_kayitlar, v_kodlar using p_en_cok;
        continue when v_kodlar is null;
        perform denetim_ekle('veritabani', v_kayitlar);
        execute format('update %s set zincire_alinma_zamani = clock_timestamp() where veritabani_gunlugu_kodu = any ($1)',
                       v_tablo) using v_kodlar;
        v_toplam := v_toplam + cardinality(v_kodlar);
    end loop;
    return v_toplam;
end $$;
