-- What the roles of the database rest on, applied after each migration by the owner of the schema (roles.py). Functions
-- that need more than the application may do run with the owner's rights, with a fixed search path: nobody puts a table
-- or function of his own before ours.

alter function denetim_ekle(text, jsonb) security definer set search_path = public, pg_temp;
alter function denetim_bolumleri_ac(integer) security definer set search_path = public, pg_temp;
alter function denetim_dogrula_ilerle(text, bigint) security definer set search_path = public, pg_temp;
alter function sonraki_istem_sirasi(integer) security definer set search_path = public, pg_temp;
alter function gecitler_dinlensin(boolean) security definer set search_path = public, pg_temp;

revoke execute on function denetim_ekle(text, jsonb), denetim_bolum_ac(date), denetim_bolumleri_ac(integer),
    denetim_dogrula_ilerle(text, bigint), sonraki_istem_sirasi(integer), gecitler_dinlensin(boolean),
    is_bitir(jsonb, jsonb, text, jsonb), tablolari_izle(), dis_degisiklikleri_zincire_al(integer) from public;

revoke create on schema public from public;

-- Results for statistics and reports: only what was clinically approved, without who it is (9.7.8).
create schema if not exists rapor;
create or replace view rapor.onayli_sonuc as
select s.tetkik_sonuc_kodu, k.tetkik_kisa_kodu as tetkik, t.calisma_grubu, s.tetkik_sonucu, s.sayisal_sonuc,
       s.tetkik_sonucu_birimi, s.tetkik_sonucu_durumu, s.tetkik_sonucu_referans_degeri, s.sonuc_zamani,
       i.istem_zamani, i.birim_kodu, h.cinsiyet,
       extract(year from age(i.istem_zamani, h.dogum_tarihi))::integer as yas
from istem_tetkik t
join tetkik_sonuc s on s.tetkik_sonuc_kodu = t.tetkik_sonuc_kodu
join tetkik k on k.tetkik_kodu = t.tetkik_kodu
join tetkik_istem i on i.tetkik_istem_kodu = t.tetkik_istem_kodu
join hasta h on h.hasta_kodu = i.hasta_kodu
where t.tetkik_durumu = 'klinik_onayli';
comment on view rapor.onayli_sonuc is 'Klinik onayli sonuclar, kimliksiz';
