-- What must never happen is refused by the database itself, not only by the program.

create function degistirilemez() returns trigger language plpgsql as $$
begin
    raise exception '% satirlari silinemez ve degistirilemez', tg_table_name using errcode = 'integrity_constraint_violation';
end $$;

create trigger tetkik_sonuc_degismez before update or delete on tetkik_sonuc for each row execute function degistirilemez();
create trigger tetkik_sonuc_bosaltilamaz before truncate on tetkik_sonuc for each statement execute function degistirilemez();
create trigger onay_degismez before update or delete on onay for each row execute function degistirilemez();
create trigger onay_bosaltilamaz before truncate on onay for each statement execute function degistirilemez();
create trigger numune_hareket_degismez before update or delete on numune_hareket for each row execute function degistirilemez();
create trigger numune_hareket_bosaltilamaz before truncate on numune_hareket for each statement execute function degistirilemez();
create trigger denetim_degismez before update or delete on denetim for each row execute function degistirilemez();
create trigger denetim_bosaltilamaz before truncate on denetim for each statement execute function degistirilemez();
create trigger ham_mesaj_silinmez before delete on ham_mesaj for each row execute function degistirilemez();

-- The bytes of a message may go in two ways only: emptied, where a rule in force says that messages so old are not kept;
-- or blackened, byte for byte and never longer or shorter, for a patient whose identity is erased in this transaction.
create function ham_mesaj_korunur() returns trigger language plpgsql as $$
declare
    v_hasta text := nullif(current_setting('numune.kimligi_silinen', true), '');
begin
    if new.anahtar is distinct from old.anahtar or new.alinma_zamani is distinct from old.alinma_zamani then
        null;
    elsif new.icerik = ''::bytea and exists (
        select from saklama_kurali k
        where k.tur = 'ham_mesaj' and k.islem = 'icerik_sil' and k.gecerlilik_baslangici <= current_date
          and (k.gecerlilik_sonu is null or k.gecerlilik_sonu >= current_date)
          and old.alinma_zamani < now() - make_interval(days => k.saklama_gunu)
    ) then
        return new;
    elsif v_hasta is not null and octet_length(new.icerik) = octet_length(old.icerik) and exists (
        select from tetkik_sonuc s join istem_tetkik t using (istem_tetkik_kodu) join tetkik_istem i using (tetkik_istem_kodu)
        join hasta h on h.hasta_kodu = i.hasta_kodu
        where s.ham_mesaj_kodu = new.ham_mesaj_kodu and h.hasta_kodu = v_hasta::bigint
          and h.anonimlesme_zamani = transaction_timestamp()
    ) then
        return new;
    end if;
    raise exception 'ham_mesaj satirlari silinemez ve degistirilemez' using errcode = 'integrity_constraint_violation';
end $$;

create trigger ham_mesaj_icerik_degismez before update on ham_mesaj for each row
    when (old.icerik is distinct from new.icerik or old.anahtar is distinct from new.anahtar
          or old.alinma_zamani is distinct from new.alinma_zamani)
    execute function ham_mesaj_korunur();

-- Results name them without a foreign key, so they stay for ever; they are made passive instead.
create trigger cihaz_silinmez before delete on cihaz for each row execute function degistirilemez();
create trigger cihaz_bosaltilamaz before truncate on cihaz for each statement execute function degistirilemez();
create trigger istem_tetkik_silinmez before delete on istem_tetkik for each row execute function degistirilemez();
create trigger istem_tetkik_bosaltilamaz before truncate on istem_tetkik for each statement execute function degistirilemez();
create trigger istem_tetkik_kodu_degismez before update of istem_tetkik_kodu on istem_tetkik for each row
    when (old.istem_tetkik_kodu <> new.istem_tetkik_kodu) execute function degistirilemez();
create trigger kullanici_silinmez before delete on kullanici for each row execute function degistirilemez();
create trigger kullanici_bosaltilamaz before truncate on kullanici for each statement execute function degistirilemez();

-- A result belongs to an ordered test and comes from a kept message: one look for all new rows of a statement.
create function sonuc_baglari() returns trigger language plpgsql as $$
begin
    if exists (select from yeni left join istem_tetkik t using (istem_tetkik_kodu) where t.istem_tetkik_kodu is null)
       or exists (select from yeni left join ham_mesaj m using (ham_mesaj_kodu)
                  where yeni.ham_mesaj_kodu is not null and m.ham_mesaj_kodu is null) then
        raise exception 'sonucun tetkiki ya da ham mesaji yok' using errcode = 'foreign_key_violation';
    end if;
    return null;
end $$;

create trigger tetkik_sonuc_baglari after insert on tetkik_sonuc referencing new table as yeni
    for each statement execute function sonuc_baglari();

-- Clinical approval stands on technical approval, and each approval on a row that says who gave it (9.6.11b, 9.7.8).
create function onaysiz_gecilemez() returns trigger language plpgsql as $$
begin
    if new.tetkik_durumu = 'klinik_onayli' and old.tetkik_durumu <> 'teknik_onayli' then
        raise exception 'klinik onay ancak teknik onaydan sonra verilir' using errcode = 'integrity_constraint_violation';
    end if;
    if not exists (
        select 1 from onay
        where istem_tetkik_kodu = new.istem_tetkik_kodu and surum = new.surum and tetkik_sonuc_kodu = new.tetkik_sonuc_kodu
          and onay_turu = case new.tetkik_durumu when 'klinik_onayli' then 'klinik_onay'
                          else case old.tetkik_durumu when 'klinik_onayli' then 'klinik_geri' else 'teknik_onay' end end
    ) then
        raise exception 'onay satiri olmadan % durumuna gecilemez', new.tetkik_durumu
            using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end $$;

create trigger istem_tetkik_onay before update of tetkik_durumu on istem_tetkik for each row
    when (new.tetkik_durumu in ('teknik_onayli', 'klinik_onayli') and new.tetkik_durumu is distinct from old.tetkik_durumu)
    execute function onaysiz_gecilemez();

create function onayli_dogulmaz() returns trigger language plpgsql as $$
begin
    raise exception 'onayli tetkik satiri eklenemez' using errcode = 'integrity_constraint_violation';
end $$;
create trigger istem_tetkik_onayli_eklenmez before insert on istem_tetkik for each row
    when (new.tetkik_durumu in ('teknik_onayli', 'klinik_onayli')) execute function onayli_dogulmaz();

-- An approved test shows the run that was approved: the pointer cannot be moved under an approval.
create trigger istem_tetkik_onayli_sonuc_degismez before update of tetkik_sonuc_kodu on istem_tetkik for each row
    when (old.tetkik_sonuc_kodu is distinct from new.tetkik_sonuc_kodu
          and new.tetkik_durumu in ('teknik_onayli', 'klinik_onayli'))
    execute function degistirilemez();

-- The audit chain. The hash covers every column and the hash of the row before it.
create function denetim_ozeti(
    p_zincir text, p_sira bigint, p_zaman timestamptz, p_kullanici bigint, p_yapan text, p_adres text, p_islem text,
    p_nesne_turu text, p_nesne_kodu text, p_onceki jsonb, p_sonraki jsonb, p_onceki_ozet bytea,
    p_hastalar bigint[] default null
) returns bytea language sql stable parallel safe as $$
    select sha256(p_onceki_ozet || convert_to(jsonb_build_array(
        p_zincir, p_sira, extract(epoch from p_zaman)::text, p_kullanici, p_yapan, p_adres, p_islem,
        p_nesne_turu, p_nesne_kodu, p_onceki, p_sonraki, p_hastalar)::text, 'UTF8'))
$$;

-- The audit lies in one partition a month, in a schema of its own, made ahead. A row of a month that nobody prepared
-- goes to `denetim_diger`: it is kept all the same, and the doctor speaks.
create schema bolum;

create function denetim_bolum_ac(p_ay date) returns boolean language plpgsql as $$
declare
    v_ilk date := date_trunc('month', p_ay);
    v_ad text := 'denetim_' || to_char(v_ilk, 'YYYY_MM');
begin
    if to_regclass('bolum.' || v_ad) is not null then
        return false;
    end if;
    execute format('create table bolum.%I partition of denetim for values from (%L) to (%L)', v_ad,
                   v_ilk::timestamp at time zone 'UTC', (v_ilk + interval '1 month') at time zone 'UTC');
    execute format('create trigger denetim_bosaltilamaz before truncate on bolum.%I '
                   'for each statement execute function degistirilemez()', v_ad);
    return true;
end $$;

create table bolum.denetim_diger partition of denetim default;
create trigger denetim_bosaltilamaz before truncate on bolum.denetim_diger
    for each statement execute function degistirilemez();

-- This month and the next ones. How many partitions are new.
create function denetim_bolumleri_ac(p_ileri integer default 3) returns integer language plpgsql as $$
declare
    v_yeni integer := 0;
begin
    perform pg_advisory_xact_lock(7301949);
    for i in 0 .. p_ileri loop
        if denetim_bolum_ac((now() at time zone 'UTC' + make_interval(months => i))::date) then
            v_yeni := v_yeni + 1;
        end if;
    end loop;
    return v_yeni;
end $$;

select denetim_bolumleri_ac();

create function denetim_ekle(p_zincir text, p_kayitlar jsonb) returns bigint language plpgsql as $$
declare
    v_sira bigint;
    v_ozet bytea;
    v_yeni bytea;
    k record;
begin
    select son_sira, son_ozet into v_sira, v_ozet from denetim_zinciri where zincir = p_zincir for update;
    if not found then
        insert into denetim_zinciri (zincir, son_sira, son_ozet) values (p_zincir, 0, '\x00') on conflict do nothing;
        select son_sira, son_ozet into v_sira, v_ozet from denetim_zinciri where zincir = p_zincir for update;
    end if;
    for k in
        select * from jsonb_to_recordset(p_kayitlar) as t(
            zaman timestamptz, kullanici_kodu bigint, yapan text, adres text, islem text,
            nesne_turu text, nesne_kodu text, onceki jsonb, sonraki jsonb, hastalar bigint[])
    loop
        v_sira := v_sira + 1;
        v_yeni := denetim_ozeti(p_zincir, v_sira, k.zaman, k.kullanici_kodu, k.yapan, k.adres, k.islem,
                                k.nesne_turu, k.nesne_kodu, k.onceki, k.sonraki, v_ozet, k.hastalar);
        insert into denetim (zincir, sira, zaman, kullanici_kodu, yapan, adres, islem, nesne_turu, nesne_kodu,
                             onceki, sonraki, hastalar, onceki_ozet, ozet)
        values (p_zincir, v_sira, k.zaman, k.kullanici_kodu, k.yapan, k.adres, k.islem, k.nesne_turu, k.nesne_kodu,
                k.onceki, k.sonraki, k.hastalar, v_ozet, v_yeni);
        v_ozet := v_yeni;
    end loop;
    update denetim_zinciri set son_sira = v_sira, son_ozet = v_ozet where zincir = p_zincir;
    return v_sira;
end $$;

-- The end of a unit of work in one call: what is promised, what open screens are told, and last the audit, because the
-- end of its chain stays locked until the commit.
create function is_bitir(p_giden jsonb, p_olaylar jsonb, p_zincir text, p_kayitlar jsonb) returns void
language plpgsql as $$
begin
    insert into giden_kutusu (konu, icerik, sira_anahtari)
    select konu, icerik, sira_anahtari
    from jsonb_to_recordset(p_giden) as t(konu text, icerik jsonb, sira_anahtari text);
    perform pg_notify('numune_olay', olay::text) from jsonb_array_elements(p_olaylar) as olay
    where octet_length(olay::text) < 8000;
    if jsonb_array_length(p_kayitlar) > 0 then
        perform denetim_ekle(p_zincir, p_kayitlar);
    end if;
end $$;

-- Broken or missing rows of a part of one chain: what follows `p_sonra` (whose hash is `p_ozet`) up to `p_kadar`.
create function denetim_dogrula_aralik(p_zincir text, p_sonra bigint, p_kadar bigint, p_ozet bytea)
returns table (zincir text, sira bigint, sorun text) language sql stable as $$
    with satir as (
        select d.*, lag(d.sira, 1, p_sonra) over w as evvel, lag(d.ozet, 1, p_ozet) over w as evvel_ozet
        from denetim d where d.zincir = p_zincir and d.sira > p_sonra and d.sira <= p_kadar
        window w as (order by d.sira)
    )
    select p_zincir, s.sira, 'satir degistirilmis' from satir s
    where s.ozet <> denetim_ozeti(s.zincir, s.sira, s.zaman, s.kullanici_kodu, s.yapan, s.adres, s.islem,
                                  s.nesne_turu, s.nesne_kodu, s.onceki, s.sonraki, s.onceki_ozet, s.hastalar)
    union all
    select p_zincir, s.evvel + 1,
           case when s.sira = s.evvel + 2 then 'satir eksik' else format('satirlar eksik (%s - %s)', s.evvel + 1, s.sira - 1) end
    from satir s where s.sira > s.evvel + 1
    union all
    select p_zincir, s.sira, 'satir fazla' from satir s where s.sira <= s.evvel
    union all
    select p_zincir, s.sira, 'zincir kopuk' from satir s where s.sira = s.evvel + 1 and s.onceki_ozet <> s.evvel_ozet
$$;

-- The end of each chain: is the row there that its head names, and nothing behind it?
create function denetim_sonu_dogrula() returns table (zincir text, sira bigint, sorun text) language sql stable as $$
    select b.zincir::text, b.son_sira, 'zincirin sonu eksik' from denetim_zinciri b
    where b.son_sira > 0
      and not exists (select from denetim d where d.zincir = b.zincir and d.sira = b.son_sira and d.ozet = b.son_ozet)
    union all
    select b.zincir::text, d.sira, 'zincirin sonundan sonra satir' from denetim_zinciri b
    cross join lateral (select x.sira from denetim x where x.zincir = b.zincir and x.sira > b.son_sira
                        order by x.sira limit 1) d
$$;

-- Every chain there is: those with a head, and those whose head somebody took away.
create function denetim_zincirleri() returns setof text language sql stable as $$
    with recursive z(ad) as (
        (select zincir::text from denetim order by zincir limit 1)
        union all
        select (select d.zincir::text from denetim d where d.zincir > z.ad order by d.zincir limit 1)
        from z where z.ad is not null
    )
    select ad from z where ad is not null union select zincir::text from denetim_zinciri
$$;

-- Broken or missing rows of everything, each with its place and what is wrong. Empty = the chains hold.
create function denetim_dogrula() returns table (zincir text, sira bigint, sorun text) language sql stable as $$
    select s.* from denetim_zincirleri() z
    cross join lateral denetim_dogrula_aralik(z, 0, 9223372036854775807, '\x00'::bytea) s
    union all
    select s.* from denetim_sonu_dogrula() s
    union all
    select z, 0, 'zincirin basi silinmis' from denetim_zincirleri() z
    where z not in (select b.zincir from denetim_zinciri b)
    order by 1, 2
$$;

-- The next rows of a chain since its last verified place, at most `p_en_cok`; the place moves on where all is well.
create function denetim_dogrula_ilerle(p_zincir text, p_en_cok bigint)
returns table (zincir text, sira bigint, sorun text) language plpgsql as $$
#variable_conflict use_column
declare
    v_yer denetim_dogrulama;
    v_son bigint;
    v_ozet bytea;
    v_sorunlar bigint;
begin
    insert into denetim_dogrulama (zincir, sira, ozet, dogrulama_zamani)
    values (p_zincir, 0, '\x00', now()) on conflict do nothing;
    select * into v_yer from denetim_dogrulama d where d.zincir = p_zincir for update;
    if v_yer.sira > 0 and not exists (
        select from denetim d where d.zincir = p_zincir and d.sira = v_yer.sira and d.ozet = v_yer.ozet
    ) then
        return query select p_zincir, v_yer.sira, 'dogrulanmis satir artik baska'::text;
    end if;
    select least(b.son_sira, v_yer.sira + p_en_cok) into v_son from denetim_zinciri b where b.zincir = p_zincir;
    if v_son is null or v_son <= v_yer.sira then
        return;
    end if;
    return query select s.* from denetim_dogrula_aralik(p_zincir, v_yer.sira, v_son, v_yer.ozet) s;
    get diagnostics v_sorunlar = row_count;
    select d.ozet into v_ozet from denetim d where d.zincir = p_zincir and d.sira = v_son;
    if v_ozet is null then
        return query select p_zincir, v_son, 'zincirin sonu eksik'::text;
    elsif v_sorunlar = 0 then
        update denetim_dogrulama d set sira = v_son, ozet = v_ozet, dogrulama_zamani = clock_timestamp()
        where d.zincir = p_zincir;
    end if;
end $$;

insert into denetim_zinciri (zincir, son_sira, son_ozet)
values ('ekran', 0, '\x00'), ('alim', 0, '\x00'), ('yonlendirme', 0, '\x00'), ('hbys', 0, '\x00'), ('sistem', 0, '\x00'),
       ('erisim', 0, '\x00');

-- The catalogue's version: every statement that changes it takes a new number, which never comes back, not even after
-- a rollback. Programs keep the catalogue in memory and reload it when this number is another one.
create sequence katalog_surumu_sirasi;
insert into parametre (ad, deger) values ('katalog_surumu', jsonb_build_object('surum', nextval('katalog_surumu_sirasi')));

create function katalog_degisti() returns trigger language plpgsql as $$
begin
    update parametre set deger = jsonb_build_object('surum', nextval('katalog_surumu_sirasi')) where ad = 'katalog_surumu';
    return null;
end $$;

create trigger numune_turu_katalog after insert or update or delete on numune_turu for each statement execute function katalog_degisti();
create trigger tup_turu_katalog after insert or update or delete on tup_turu for each statement execute function katalog_degisti();
create trigger calisma_grubu_katalog after insert or update or delete on calisma_grubu for each statement execute function katalog_degisti();
create trigger tetkik_katalog after insert or update or delete on tetkik for each statement execute function katalog_degisti();
create trigger panel_uyesi_katalog after insert or update or delete on panel_uyesi for each statement execute function katalog_degisti();
create trigger tetkik_referans_aralik_katalog after insert or update or delete on tetkik_referans_aralik for each statement execute function katalog_degisti();
create trigger cihaz_katalog after insert or update or delete on cihaz for each statement execute function katalog_degisti();
create trigger baglanti_katalog after insert or update or delete on baglanti for each statement execute function katalog_degisti();
create trigger tetkik_cihaz_eslesme_katalog after insert or update or delete on tetkik_cihaz_eslesme for each statement execute function katalog_degisti();

-- Rights in memory: like the catalogue's, their version is a new number with every statement that changes them, and the
-- open screens are told, so that streams opened under the old rights end.
create sequence yetki_surumu_sirasi;
insert into parametre (ad, deger) values ('yetki_surumu', jsonb_build_object('surum', nextval('yetki_surumu_sirasi')));

create function yetki_degisti() returns trigger language plpgsql as $$
begin
    update parametre set deger = jsonb_build_object('surum', nextval('yetki_surumu_sirasi')) where ad = 'yetki_surumu';
    perform pg_notify('numune_olay', '{"tur": "yetki"}');
    return null;
end $$;

create trigger yetki_grubu_yetki after insert or update or delete on yetki_grubu for each statement execute function yetki_degisti();
create trigger grup_uyeligi_yetki after insert or update or delete on grup_uyeligi for each statement execute function yetki_degisti();
create trigger yetki_kaydi_yetki after insert or update or delete on yetki_kaydi for each statement execute function yetki_degisti();
create trigger personel_birim_yetki after insert or update or delete on personel_birim for each statement execute function yetki_degisti();
create trigger personel_yetki after update of calistigi_birim_kodu on personel for each statement execute function yetki_degisti();
create trigger kullanici_yetki after update of personel_kodu, aktiflik_bilgisi on kullanici for each statement execute function yetki_degisti();
create trigger birim_yetki after insert or update or delete on birim for each statement execute function yetki_degisti();
create trigger kurum_yetki after insert or update or delete on kurum for each statement execute function yetki_degisti();
create trigger calisma_grubu_yetki after insert or update or delete on calisma_grubu for each statement execute function yetki_degisti();

-- Ended rows stay: a refusal can say when a permission was taken and by whom.
create trigger grup_uyeligi_silinmez before delete on grup_uyeligi for each row execute function degistirilemez();
create trigger grup_uyeligi_bosaltilamaz before truncate on grup_uyeligi for each statement execute function degistirilemez();
create trigger yetki_kaydi_silinmez before delete on yetki_kaydi for each row execute function degistirilemez();
create trigger yetki_kaydi_bosaltilamaz before truncate on yetki_kaydi for each statement execute function degistirilemez();

-- A group may be in a group, never in a circle (4.8.6b). The lock: two halves of a circle are not added side by side.
create function grup_dongusu_olmaz() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(7301949);
    if exists (
        with recursive ust as (
            select new.yetki_grubu_kodu as grup
            union
            select u.yetki_grubu_kodu from grup_uyeligi u join ust on u.uye_grup_kodu = ust.grup
            where u.kaldirma_zamani is null and u.grup_uyeligi_kodu <> new.grup_uyeligi_kodu
        )
        select from ust where grup = new.uye_grup_kodu
    ) then
        raise exception 'grup uyeligi dongu olusturur' using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end $$;
create trigger grup_uyeligi_dongu before insert or update on grup_uyeligi for each row
    when (new.uye_grup_kodu is not null and new.kaldirma_zamani is null) execute function grup_dongusu_olmaz();

-- What was shown to patients, by which rule and with which slip, can be told for ever: rows end, they do not go.
create trigger cevrimici_kural_silinmez before delete on cevrimici_kural for each row execute function degistirilemez();
create trigger cevrimici_kural_bosaltilamaz before truncate on cevrimici_kural for each statement execute function degistirilemez();
create trigger cevrimici_kural_degismez before update on cevrimici_kural for each row
    when ((old.tetkik_kodu, old.calisma_grubu, old.kosul, old.sinir, old.gorunum, old.cumle, old.farki_kabul, old.neden)
          is distinct from (new.tetkik_kodu, new.calisma_grubu, new.kosul, new.sinir, new.gorunum, new.cumle,
                            new.farki_kabul, new.neden)
          or old.kaldirma_zamani is not null)
    execute function degistirilemez();
create trigger cevrimici_ret_silinmez before delete on cevrimici_ret for each row execute function degistirilemez();
create trigger cevrimici_ret_bosaltilamaz before truncate on cevrimici_ret for each statement execute function degistirilemez();
create trigger hasta_erisim_belgesi_silinmez before delete on hasta_erisim_belgesi for each row execute function degistirilemez();
create trigger hasta_erisim_belgesi_degismez before update on hasta_erisim_belgesi for each row
    when (old.tetkik_istem_kodu <> new.tetkik_istem_kodu or old.kod_ozeti <> new.kod_ozeti
          or (old.kapanma_zamani is not null and new.kapanma_zamani is distinct from old.kapanma_zamani))
    execute function degistirilemez();

-- The next running number of a year's orders. One sequence a year, made when the year's first order comes: a gap is
-- allowed (an order that was rolled back), a number never comes twice, and nobody waits for anybody.
create function sonraki_istem_sirasi(p_yil integer) returns bigint language plpgsql as $$
declare
    v_ad text := format('istem_sirasi_%s', p_yil);
begin
    return nextval(v_ad);
exception when undefined_table then
    perform pg_advisory_xact_lock(7301948, p_yil);
    execute format('create sequence if not exists %I', v_ad);
    return nextval(v_ad);
end $$;

-- What remote gateways must be told: orders whose pending work changed, noted in the same transaction. The triggers are
-- off until the first gateway is registered: the centre alone does not pay for them.
create function is_listesi_degisti() returns trigger language plpgsql as $$
begin
    insert into is_listesi_degisen (tetkik_istem_kodu) select distinct tetkik_istem_kodu from yeni;
    return null;
end $$;

create trigger istem_tetkik_is_listesi_ekleme after insert on istem_tetkik referencing new table as yeni
    for each statement execute function is_listesi_degisti();
create trigger istem_tetkik_is_listesi_degisme after update on istem_tetkik referencing new table as yeni
    for each statement execute function is_listesi_degisti();
create trigger tetkik_numune_is_listesi_degisme after update on tetkik_numune referencing new table as yeni
    for each statement execute function is_listesi_degisti();
create trigger barkod_kayit_is_listesi_ekleme after insert on barkod_kayit referencing new table as yeni
    for each statement execute function is_listesi_degisti();

create function gecitler_dinlensin(p_acik boolean) returns void language plpgsql as $$
declare
    v record;
begin
    for v in select t.tgrelid::regclass as tablo, t.tgname from pg_trigger t
             join pg_proc p on p.oid = t.tgfoid where p.proname = 'is_listesi_degisti'
               and (t.tgenabled = 'O') is distinct from p_acik
    loop
        execute format('alter table %s %s trigger %I', v.tablo, case when p_acik then 'enable' else 'disable' end,
                       v.tgname);
    end loop;
end $$;
select gecitler_dinlensin(false);
