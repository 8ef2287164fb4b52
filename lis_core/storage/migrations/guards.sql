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
create trigger ham_mesaj_icerik_degismez before update on ham_mesaj for each row
    when (old.icerik is distinct from new.icerik or old.anahtar is distinct from new.anahtar
          or old.alinma_zamani is distinct from new.alinma_zamani)
    execute function degistirilemez();

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
    p_nesne_turu text, p_nesne_kodu text, p_onceki jsonb, p_sonraki jsonb, p_onceki_ozet bytea
) returns bytea language sql stable parallel safe as $$
    select sha256(p_onceki_ozet || convert_to(jsonb_build_array(
        p_zincir, p_sira, extract(epoch from p_zaman)::text, p_kullanici, p_yapan, p_adres, p_islem,
        p_nesne_turu, p_nesne_kodu, p_onceki, p_sonraki)::text, 'UTF8'))
$$;

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
            nesne_turu text, nesne_kodu text, onceki jsonb, sonraki jsonb)
    loop
        v_sira := v_sira + 1;
        v_yeni := denetim_ozeti(p_zincir, v_sira, k.zaman, k.kullanici_kodu, k.yapan, k.adres, k.islem,
                                k.nesne_turu, k.nesne_kodu, k.onceki, k.sonraki, v_ozet);
        insert into denetim (zincir, sira, zaman, kullanici_kodu, yapan, adres, islem, nesne_turu, nesne_kodu,
                             onceki, sonraki, onceki_ozet, ozet)
        values (p_zincir, v_sira, k.zaman, k.kullanici_kodu, k.yapan, k.adres, k.islem, k.nesne_turu, k.nesne_kodu,
                k.onceki, k.sonraki, v_ozet, v_yeni);
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

-- Broken or missing rows, each with its place and what is wrong. Empty = the chains hold.
create function denetim_dogrula() returns table (zincir text, sira bigint, sorun text) language sql stable as $$
    with satir as (
        select d.*, lag(d.sira) over w as evvel, lag(d.ozet) over w as evvel_ozet
        from denetim d window w as (partition by d.zincir order by d.sira)
    )
    select s.zincir::text, s.sira, 'satir degistirilmis' from satir s
    where s.ozet <> denetim_ozeti(s.zincir, s.sira, s.zaman, s.kullanici_kodu, s.yapan, s.adres, s.islem,
                                  s.nesne_turu, s.nesne_kodu, s.onceki, s.sonraki, s.onceki_ozet)
    union all
    select s.zincir::text, coalesce(s.evvel, 0) + 1, 'satir eksik' from satir s where s.sira <> coalesce(s.evvel, 0) + 1
    union all
    select s.zincir::text, s.sira, 'zincir kopuk' from satir s
    where s.sira = coalesce(s.evvel, 0) + 1 and s.onceki_ozet <> coalesce(s.evvel_ozet, '\x00'::bytea)
    union all
    select b.zincir::text, b.son_sira, 'zincirin sonu eksik' from denetim_zinciri b
    left join denetim d on d.zincir = b.zincir and d.sira = b.son_sira
    where b.son_sira > 0 and (d.ozet is null or d.ozet <> b.son_ozet)
    order by 1, 2
$$;

insert into denetim_zinciri (zincir, son_sira, son_ozet)
values ('ekran', 0, '\x00'), ('alim', 0, '\x00'), ('yonlendirme', 0, '\x00'), ('hbys', 0, '\x00'), ('sistem', 0, '\x00');

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
