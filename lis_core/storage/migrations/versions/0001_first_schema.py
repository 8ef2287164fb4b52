"""The first schema: patients to results, audit and outbox."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from lis_core.domain.turkish import SQL_FUNCTIONS
from lis_core.storage.first_groups import insert_first_groups

GUARDS = Path(__file__).parents[1] / "guards.sql"
WATCH = Path(__file__).parents[1] / "watch.sql"

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.text(SQL_FUNCTIONS.replace(":", "\\:")))
    op.create_table(
        "basarisiz_giris",
        sa.Column(
            "basarisiz_giris_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("kullanici_adi", sa.String(length=60), nullable=False, comment="Denenen kullanici adi"),
        sa.Column("ip_adresi", sa.String(), nullable=False, comment="Deneyen adres"),
        sa.Column("sayi", sa.BigInteger(), server_default="0", nullable=False, comment="Ard arda basarisiz deneme"),
        sa.Column(
            "son_deneme",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Son denemenin zamani",
        ),
        sa.PrimaryKeyConstraint("basarisiz_giris_kodu", name=op.f("pk_basarisiz_giris")),
        sa.UniqueConstraint("kullanici_adi", "ip_adresi", name=op.f("uq_basarisiz_giris_kullanici_adi_ip_adresi")),
        comment="Basarisiz giris denemeleri",
    )
    op.create_table(
        "calisma_grubu",
        sa.Column("calisma_grubu", sa.String(length=20), nullable=False, comment="Kisa kod"),
        sa.Column("calisma_grubu_adi", sa.String(), nullable=False, comment="Ekranda gorunen ad"),
        sa.Column("sira", sa.Integer(), server_default="0", nullable=False, comment="Ekran sirasi"),
        sa.PrimaryKeyConstraint("calisma_grubu", name=op.f("pk_calisma_grubu")),
        comment="Calisma gruplari (laboratuvar bolumleri)",
    )
    op.create_table(
        "denetim",
        sa.Column("zincir", sa.String(length=20), nullable=False, comment="Zincirin adi"),
        sa.Column("sira", sa.BigInteger(), nullable=False, comment="Zincirdeki sira; bosluk yoktur"),
        sa.Column("zaman", sa.DateTime(timezone=True), nullable=False, comment="Islem zamani"),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=True, comment="Kullanici; bos = program"),
        sa.Column("yapan", sa.String(), nullable=False, comment="Kullanici adi ya da programin parcasi"),
        sa.Column("adres", sa.String(), nullable=False, comment="Nereden: ip adresi, hat adi"),
        sa.Column("islem", sa.String(length=40), nullable=False, comment="Islem"),
        sa.Column("nesne_turu", sa.String(length=40), nullable=False, comment="Nesnenin turu (tablo)"),
        sa.Column("nesne_kodu", sa.String(), nullable=False, comment="Nesnenin kodu"),
        sa.Column("onceki", postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment="Once"),
        sa.Column("sonraki", postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment="Sonra"),
        sa.Column(
            "hastalar",
            postgresql.ARRAY(sa.BigInteger()),
            nullable=True,
            comment="Islemin ilgilendirdigi hastalar (gorulen, degistirilen)",
        ),
        sa.Column("onceki_ozet", sa.LargeBinary(), nullable=False, comment="Bir onceki satirin ozeti"),
        sa.Column("ozet", sa.LargeBinary(), nullable=False, comment="Bu satirin SHA-256 ozeti"),
        sa.PrimaryKeyConstraint("zincir", "sira", "zaman", name=op.f("pk_denetim")),
        comment="Denetim izi; silinmez, degistirilmez, zincirlidir; aylik bolumleri bolum semasindadir",
        postgresql_partition_by="RANGE (zaman)",
    )
    op.create_index(
        "ix_denetim_hastalar",
        "denetim",
        ["hastalar"],
        unique=False,
        postgresql_using="gin",
        postgresql_where=sa.text("hastalar is not null"),
    )
    op.create_index("ix_denetim_nesne", "denetim", ["nesne_turu", "nesne_kodu"], unique=False)
    op.create_index("ix_denetim_yapan", "denetim", ["yapan", "zaman"], unique=False)
    op.create_index("ix_denetim_zaman", "denetim", ["zaman"], unique=False)
    op.create_table(
        "denetim_dogrulama",
        sa.Column("zincir", sa.String(length=20), nullable=False, comment="Zincirin adi"),
        sa.Column("sira", sa.BigInteger(), nullable=False, comment="Buraya kadar dogrulandi"),
        sa.Column("ozet", sa.LargeBinary(), nullable=False, comment="Dogrulanan son satirin ozeti"),
        sa.Column("dogrulama_zamani", sa.DateTime(timezone=True), nullable=False, comment="Son dogrulamanin zamani"),
        sa.Column(
            "yeniden_sira",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="Eski satirlarin yeniden dogrulanmasi buraya geldi",
        ),
        sa.PrimaryKeyConstraint("zincir", name=op.f("pk_denetim_dogrulama")),
        comment="Denetim zincirlerinin dogrulandigi yer",
    )
    op.create_table(
        "denetim_zinciri",
        sa.Column("zincir", sa.String(length=20), nullable=False, comment="Zincirin adi"),
        sa.Column("son_sira", sa.BigInteger(), nullable=False, comment="Son satirin sirasi"),
        sa.Column("son_ozet", sa.LargeBinary(), nullable=False, comment="Son satirin ozeti"),
        sa.PrimaryKeyConstraint("zincir", name=op.f("pk_denetim_zinciri")),
        comment="Denetim zincirlerinin sonu",
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "giden_kutusu",
        sa.Column(
            "giden_kutusu_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("konu", sa.String(length=40), nullable=False, comment="hbys.sonuc, panik.bildirim ..."),
        sa.Column(
            "sira_anahtari",
            sa.String(length=60),
            server_default="",
            nullable=False,
            comment="Ayni anahtarli isler sirayla yapilir",
        ),
        sa.Column("icerik", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="Icerik"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column("deneme_sayisi", sa.Integer(), server_default="0", nullable=False, comment="Kac kez denendi"),
        sa.Column(
            "sonraki_deneme",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Sonraki deneme zamani",
        ),
        sa.Column("bitti_zamani", sa.DateTime(timezone=True), nullable=True, comment="Tamamlandigi zaman"),
        sa.Column("son_hata", sa.String(), nullable=True, comment="Son hata"),
        sa.PrimaryKeyConstraint("giden_kutusu_kodu", name=op.f("pk_giden_kutusu")),
        comment="Giden kutusu: islem ile birlikte yazilan yapilacaklar",
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(
        "ix_giden_kutusu_bekleyen",
        "giden_kutusu",
        ["konu", "sonraki_deneme", "giden_kutusu_kodu"],
        unique=False,
        postgresql_where=sa.text("bitti_zamani is null"),
    )
    op.create_table(
        "hasta",
        sa.Column(
            "hasta_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("tc_kimlik_numarasi", sa.String(length=11), nullable=True, comment="T.C. kimlik numarasi"),
        sa.Column("pasaport_numarasi", sa.String(length=30), nullable=True, comment="Pasaport numarasi"),
        sa.Column(
            "hbys_hasta_numarasi", sa.String(length=50), nullable=True, comment="Hastane sistemindeki hasta numarasi"
        ),
        sa.Column("ad", sa.String(), nullable=False, comment="Adi"),
        sa.Column("soyadi", sa.String(), nullable=False, comment="Soyadi"),
        sa.Column("dogum_tarihi", sa.Date(), nullable=True, comment="Dogum tarihi"),
        sa.Column("cinsiyet", sa.String(length=1), nullable=True, comment="Cinsiyet: F kadin, M erkek"),
        sa.Column("cep_telefonu", sa.String(length=30), nullable=True, comment="Cep telefonu"),
        sa.Column(
            "birlestigi_hasta_kodu", sa.BigInteger(), nullable=True, comment="Bu kaydin birlestirildigi hasta (ADT A40)"
        ),
        sa.Column(
            "gizlilik_numarasi",
            sa.String(length=12),
            nullable=True,
            comment="Numara ile izlenen hastanin numarasi; bos = adi ile",
        ),
        sa.Column(
            "anonimlesme_zamani",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Kimligin silindigi zaman (6698)",
        ),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column("guncelleme_zamani", sa.DateTime(timezone=True), nullable=True, comment="Son degisiklik zamani"),
        sa.ForeignKeyConstraint(
            ["birlestigi_hasta_kodu"], ["hasta.hasta_kodu"], name=op.f("fk_hasta_birlestigi_hasta_kodu")
        ),
        sa.PrimaryKeyConstraint("hasta_kodu", name=op.f("pk_hasta")),
        sa.UniqueConstraint("hbys_hasta_numarasi", name=op.f("uq_hasta_hbys_hasta_numarasi")),
        sa.UniqueConstraint("tc_kimlik_numarasi", name=op.f("uq_hasta_tc_kimlik_numarasi")),
        sa.UniqueConstraint("gizlilik_numarasi", name=op.f("uq_hasta_gizlilik_numarasi")),
        comment="Hastalar",
    )
    op.create_index(
        "ix_hasta_ara", "hasta", [sa.literal_column("tr_ara(ad || ' ' || soyadi) text_pattern_ops")], unique=False
    )
    op.create_table(
        "kurum",
        sa.Column(
            "kurum_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("skrs_kurum_kodu", sa.String(length=20), nullable=False, comment="SKRS kurum kodu"),
        sa.Column("kurum_adi", sa.String(), nullable=False, comment="Kurumun adi"),
        sa.Column(
            "aktiflik_bilgisi",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Kayit kullanimda mi",
        ),
        sa.PrimaryKeyConstraint("kurum_kodu", name=op.f("pk_kurum")),
        sa.UniqueConstraint("skrs_kurum_kodu", name=op.f("uq_kurum_skrs_kurum_kodu")),
        comment="Kurumlar",
    )
    op.create_table(
        "numune_turu",
        sa.Column("numune_turu", sa.String(length=20), nullable=False, comment="Kisa kod: SER, EDTA, SITRAT, IDRAR"),
        sa.Column("numune_turu_adi", sa.String(), nullable=False, comment="Ekranda gorunen ad"),
        sa.Column("hl7_kodu", sa.String(length=20), nullable=False, comment="HL7 tablo 0487 kodu"),
        sa.PrimaryKeyConstraint("numune_turu", name=op.f("pk_numune_turu")),
        comment="Numune turleri (materyal)",
    )
    op.create_table(
        "parametre",
        sa.Column("ad", sa.String(length=60), nullable=False, comment="Parametrenin adi"),
        sa.Column("deger", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="Degeri"),
        sa.PrimaryKeyConstraint("ad", name=op.f("pk_parametre")),
        comment="Kurulum parametreleri",
    )
    op.create_table(
        "birim",
        sa.Column(
            "birim_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("kurum_kodu", sa.BigInteger(), nullable=True, comment="Kurum"),
        sa.Column("birim_kisa_kodu", sa.String(length=30), nullable=False, comment="Birimin kisa kodu"),
        sa.Column("birim_adi", sa.String(), nullable=False, comment="Birimin adi"),
        sa.Column(
            "birim_turu",
            sa.String(length=20),
            server_default="klinik",
            nullable=False,
            comment="klinik, aile_hekimligi, laboratuvar",
        ),
        sa.Column(
            "aktiflik_bilgisi",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Kayit kullanimda mi",
        ),
        sa.ForeignKeyConstraint(["kurum_kodu"], ["kurum.kurum_kodu"], name=op.f("fk_birim_kurum_kodu")),
        sa.PrimaryKeyConstraint("birim_kodu", name=op.f("pk_birim")),
        sa.UniqueConstraint("birim_kisa_kodu", name=op.f("uq_birim_birim_kisa_kodu")),
        comment="Birimler: klinikler, aile hekimligi birimleri, laboratuvarlar",
    )
    op.create_table(
        "tup_turu",
        sa.Column("tup_kodu", sa.String(length=2), nullable=False, comment="Etiketteki iki haneli tup kodu"),
        sa.Column(
            "tup_adi", sa.String(), nullable=False, comment="Etiket alti yazisi: Biyokimya, Hemogram, Hormon-ELISA, TIT"
        ),
        sa.Column("numune_turu", sa.String(length=20), nullable=False, comment="Tupteki materyal"),
        sa.Column("kapak_rengi", sa.String(), nullable=False, comment="Kapak rengi (ad)"),
        sa.Column("sira", sa.Integer(), server_default="0", nullable=False, comment="Etiket sirasi"),
        sa.ForeignKeyConstraint(["numune_turu"], ["numune_turu.numune_turu"], name=op.f("fk_tup_turu_numune_turu")),
        sa.PrimaryKeyConstraint("tup_kodu", name=op.f("pk_tup_turu")),
        comment="Tup turleri ve etiket alti yazilari",
    )
    op.create_table(
        "cihaz",
        sa.Column(
            "cihaz_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("cihaz_kisa_kodu", sa.String(length=30), nullable=False, comment="Kisa kod"),
        sa.Column("cihaz_adi", sa.String(), nullable=False, comment="Adi"),
        sa.Column("tanim", sa.String(length=60), nullable=False, comment="Cihaz taniminin anahtari (katalog)"),
        sa.Column("cihaz_markasi", sa.String(), server_default="", nullable=False, comment="Markasi"),
        sa.Column("cihaz_modeli", sa.String(), server_default="", nullable=False, comment="Modeli"),
        sa.Column("seri_numarasi", sa.String(), nullable=True, comment="Seri numarasi"),
        sa.Column("birim_kodu", sa.BigInteger(), nullable=True, comment="Bulundugu birim"),
        sa.Column(
            "hizmette",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Hizmette mi; degilse is verilmez",
        ),
        sa.Column("hizmet_notu", sa.String(), nullable=True, comment="Hizmet disi kalma nedeni"),
        sa.Column(
            "ayirma_dakika",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Is emri verilen tetkik baska cihaza kac dakika verilmez; 0 = ayirma yok",
        ),
        sa.Column(
            "ayarlar",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="Tanim parametreleri (karakter kumesi, saat dilimi ...)",
        ),
        sa.Column(
            "aktiflik_bilgisi",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Kayit kullanimda mi",
        ),
        sa.ForeignKeyConstraint(["birim_kodu"], ["birim.birim_kodu"], name=op.f("fk_cihaz_birim_kodu")),
        sa.PrimaryKeyConstraint("cihaz_kodu", name=op.f("pk_cihaz")),
        sa.UniqueConstraint("cihaz_kisa_kodu", name=op.f("uq_cihaz_cihaz_kisa_kodu")),
        comment="Cihazlar",
    )
    op.create_table(
        "personel",
        sa.Column(
            "personel_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("personel_sicil_numarasi", sa.String(length=30), nullable=False, comment="Sicil numarasi"),
        sa.Column("ad", sa.String(), nullable=False, comment="Adi"),
        sa.Column("soyadi", sa.String(), nullable=False, comment="Soyadi"),
        sa.Column("unvan", sa.String(), server_default="", nullable=False, comment="Unvani"),
        sa.Column("calistigi_birim_kodu", sa.BigInteger(), nullable=True, comment="Calistigi birim"),
        sa.Column(
            "aktiflik_bilgisi",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Kayit kullanimda mi",
        ),
        sa.ForeignKeyConstraint(
            ["calistigi_birim_kodu"], ["birim.birim_kodu"], name=op.f("fk_personel_calistigi_birim_kodu")
        ),
        sa.PrimaryKeyConstraint("personel_kodu", name=op.f("pk_personel")),
        sa.UniqueConstraint("personel_sicil_numarasi", name=op.f("uq_personel_personel_sicil_numarasi")),
        comment="Personel: hekimler ve laboratuvar calisanlari",
    )
    op.create_table(
        "tetkik",
        sa.Column(
            "tetkik_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("tetkik_kisa_kodu", sa.String(length=20), nullable=False, comment="Katalog kodu"),
        sa.Column("tetkik_adi", sa.String(), nullable=False, comment="Tetkikin adi"),
        sa.Column("panel_mi", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="Panel mi"),
        sa.Column("calisma_grubu", sa.String(length=20), nullable=False, comment="Calisma grubu"),
        sa.Column("tup_kodu", sa.String(length=2), nullable=False, comment="Olagan tupu"),
        sa.Column(
            "numune_turleri", postgresql.ARRAY(sa.String()), nullable=False, comment="Calisilabildigi materyaller"
        ),
        sa.Column("tetkik_parametre_birimi", sa.String(), server_default="", nullable=False, comment="Birimi (UCUM)"),
        sa.Column("loinc_kodu", sa.String(length=12), nullable=True, comment="LOINC kodu"),
        sa.Column("sut_kodu", sa.String(length=12), nullable=True, comment="SUT islem kodu"),
        sa.Column(
            "ondalik", sa.Integer(), nullable=True, comment="Raporda ondalik hane sayisi; bos = cihazin yazdigi gibi"
        ),
        sa.Column("yontem", sa.String(), server_default="", nullable=False, comment="Calisma yontemi"),
        sa.Column("rapor_sonuc_sirasi", sa.Integer(), server_default="0", nullable=False, comment="Rapordaki sirasi"),
        sa.Column(
            "gizli_mi",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="HIV gibi gizli tetkik mi: yalniz yetkili gorur, adsiz basilir, internetten gosterilmez (9.8.5)",
        ),
        sa.Column("pasif_nedeni", sa.String(), nullable=True, comment="Gecici olarak calisilamiyorsa nedeni"),
        sa.Column(
            "aktiflik_bilgisi",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Kayit kullanimda mi",
        ),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.ForeignKeyConstraint(
            ["calisma_grubu"], ["calisma_grubu.calisma_grubu"], name=op.f("fk_tetkik_calisma_grubu")
        ),
        sa.ForeignKeyConstraint(["tup_kodu"], ["tup_turu.tup_kodu"], name=op.f("fk_tetkik_tup_kodu")),
        sa.PrimaryKeyConstraint("tetkik_kodu", name=op.f("pk_tetkik")),
        sa.UniqueConstraint("tetkik_kisa_kodu", name=op.f("uq_tetkik_tetkik_kisa_kodu")),
        comment="Tetkikler ve paneller",
    )
    op.create_table(
        "gecit",
        sa.Column(
            "gecit_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column(
            "gecit_adi",
            sa.String(length=40),
            nullable=False,
            comment="Kucuk harf, rakam ve tire; aracidaki konularda da bu ad gecer",
        ),
        sa.Column("aciklama", sa.String(), server_default="", nullable=False, comment="Nerede durdugu"),
        sa.Column(
            "aktiflik_bilgisi",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Kayit kullanimda mi",
        ),
        sa.Column("son_gorulme", sa.DateTime(timezone=True), nullable=True, comment="Gecitten gelen son haber"),
        sa.Column(
            "bekleyen_mesaj",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Gecidin diskinde bekleyen mesaj",
        ),
        sa.Column(
            "kopya_istem",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Gecitte kopyasi duran bekleyen istem",
        ),
        sa.Column("surum", sa.String(length=40), server_default="", nullable=False, comment="Gecidin program surumu"),
        sa.Column(
            "bildirilecek_is",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Cihaza verilip merkeze henuz bildirilmemis is",
        ),
        sa.Column(
            "saat_farki_ms",
            sa.BigInteger(),
            nullable=True,
            comment="Gecidin saati eksi merkezin saati, milisaniye; bos = bilinmiyor",
        ),
        sa.Column(
            "sorun", sa.String(), server_default="", nullable=False, comment="Gecidin bildirdigi sorun (disk), sozle"
        ),
        sa.Column(
            "ayar_ozeti",
            sa.String(length=64),
            server_default="",
            nullable=False,
            comment="Gecide bildirilen ayarlarin ozeti (SHA-256)",
        ),
        sa.Column(
            "ayar_sirasi",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="Bildirilen ayarlarin sirasi; yenisi hep buyuktur",
        ),
        sa.PrimaryKeyConstraint("gecit_kodu", name=op.f("pk_gecit")),
        sa.UniqueConstraint("gecit_adi", name=op.f("uq_gecit_gecit_adi")),
        comment="Uzak gecitler (ilce hastanesi gibi)",
    )
    op.create_table(
        "is_listesi_degisen",
        sa.Column(
            "is_listesi_degisen_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("tetkik_istem_kodu", sa.BigInteger(), nullable=False, comment="Istem"),
        sa.PrimaryKeyConstraint("is_listesi_degisen_kodu", name=op.f("pk_is_listesi_degisen")),
        comment="Gecitlere bildirilecek istemler (tetikleyici doldurur)",
    )
    op.create_table(
        "baglanti",
        sa.Column(
            "baglanti_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("baglanti_adi", sa.String(length=60), nullable=False, comment="Hattin adi"),
        sa.Column("cihaz_kodu", sa.BigInteger(), nullable=False, comment="Cihaz"),
        sa.Column(
            "baglanti_turu", sa.String(length=20), nullable=False, comment="tcp-sunucu, tcp-istemci, seri, klasor"
        ),
        sa.Column("protokol", sa.String(length=10), nullable=False, comment="astm, hl7, metin, tablo, poct1a"),
        sa.Column("adres", sa.String(), nullable=False, comment="sunucu:port, seri port ya da klasor yolu"),
        sa.Column(
            "ayarlar",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="Hat ayarlari: hiz, parite, cerceveleme, ikinci baglanti davranisi ...",
        ),
        sa.Column(
            "aktiflik_bilgisi",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Kayit kullanimda mi",
        ),
        sa.Column(
            "gecit_kodu",
            sa.BigInteger(),
            nullable=True,
            comment="Hattin bulundugu uzak gecit; bos = merkezdeki gecit",
        ),
        sa.ForeignKeyConstraint(["cihaz_kodu"], ["cihaz.cihaz_kodu"], name=op.f("fk_baglanti_cihaz_kodu")),
        sa.ForeignKeyConstraint(["gecit_kodu"], ["gecit.gecit_kodu"], name=op.f("fk_baglanti_gecit_kodu")),
        sa.PrimaryKeyConstraint("baglanti_kodu", name=op.f("pk_baglanti")),
        sa.UniqueConstraint("baglanti_adi", name=op.f("uq_baglanti_baglanti_adi")),
        comment="Cihaz baglantilari (hatlar)",
    )
    op.create_table(
        "barkod_araligi",
        sa.Column(
            "barkod_araligi_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("ilk_numara", sa.BigInteger(), nullable=False, comment="Ilk numara"),
        sa.Column("son_numara", sa.BigInteger(), nullable=False, comment="Son numara"),
        sa.Column("personel_kodu", sa.BigInteger(), nullable=True, comment="Verildigi hekim"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.ForeignKeyConstraint(
            ["personel_kodu"], ["personel.personel_kodu"], name=op.f("fk_barkod_araligi_personel_kodu")
        ),
        sa.PrimaryKeyConstraint("barkod_araligi_kodu", name=op.f("pk_barkod_araligi")),
        comment="Dagitilan barkod araliklari",
    )
    op.create_table(
        "kullanici",
        sa.Column(
            "kullanici_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("kullanici_adi", sa.String(length=60), nullable=False, comment="Kullanici adi"),
        sa.Column("ad", sa.String(), nullable=False, comment="Adi"),
        sa.Column("soyadi", sa.String(), nullable=False, comment="Soyadi"),
        sa.Column(
            "parola", sa.String(), nullable=False, comment="Parolanin Argon2id ozeti; ! ile baslarsa giris kapali"
        ),
        sa.Column("personel_kodu", sa.BigInteger(), nullable=True, comment="Personel kaydi"),
        sa.Column(
            "aktiflik_bilgisi",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Kayit kullanimda mi",
        ),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.ForeignKeyConstraint(["personel_kodu"], ["personel.personel_kodu"], name=op.f("fk_kullanici_personel_kodu")),
        sa.PrimaryKeyConstraint("kullanici_kodu", name=op.f("pk_kullanici")),
        sa.UniqueConstraint("kullanici_adi", name=op.f("uq_kullanici_kullanici_adi")),
        comment="Kullanicilar",
    )
    op.create_table(
        "panel_uyesi",
        sa.Column("panel_kodu", sa.BigInteger(), nullable=False, comment="Panel"),
        sa.Column("tetkik_kodu", sa.BigInteger(), nullable=False, comment="Tetkik"),
        sa.Column("sira", sa.Integer(), server_default="0", nullable=False, comment="Panel icindeki sira"),
        sa.ForeignKeyConstraint(["panel_kodu"], ["tetkik.tetkik_kodu"], name=op.f("fk_panel_uyesi_panel_kodu")),
        sa.ForeignKeyConstraint(["tetkik_kodu"], ["tetkik.tetkik_kodu"], name=op.f("fk_panel_uyesi_tetkik_kodu")),
        sa.PrimaryKeyConstraint("panel_kodu", "tetkik_kodu", name=op.f("pk_panel_uyesi")),
        comment="Panellerin tetkikleri",
    )
    op.create_table(
        "tetkik_cihaz_eslesme",
        sa.Column(
            "tetkik_cihaz_eslesme_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("cihaz_kodu", sa.BigInteger(), nullable=False, comment="Cihaz"),
        sa.Column("tetkik_kodu", sa.BigInteger(), nullable=False, comment="Tetkik"),
        sa.Column("cihazdan_gelen_test_kodu", sa.String(length=60), nullable=False, comment="Sonuctaki kod"),
        sa.Column(
            "cihaza_giden_test_kodu",
            sa.String(length=60),
            nullable=False,
            comment="Is emrindeki kod; bos = is emri verilmez",
        ),
        sa.Column(
            "numune_turleri",
            postgresql.ARRAY(sa.String()),
            server_default="{}",
            nullable=False,
            comment="Bu cihazda calisilabilen materyaller; bos = tetkikinki",
        ),
        sa.Column(
            "metin_ceviri",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="Sonuc metni cevirileri: negative -> Negatif (9.6.4)",
        ),
        sa.Column(
            "carpan", sa.String(length=20), nullable=True, comment="Birim donusum carpani (ondalik metin); bos = yok"
        ),
        sa.Column(
            "birim",
            sa.String(),
            nullable=True,
            comment="Cihazin birimi; farkli gelirse sonuc tutulur; bos = denetlenmez",
        ),
        sa.Column(
            "aktiflik_bilgisi",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Kayit kullanimda mi",
        ),
        sa.ForeignKeyConstraint(["cihaz_kodu"], ["cihaz.cihaz_kodu"], name=op.f("fk_tetkik_cihaz_eslesme_cihaz_kodu")),
        sa.ForeignKeyConstraint(
            ["tetkik_kodu"], ["tetkik.tetkik_kodu"], name=op.f("fk_tetkik_cihaz_eslesme_tetkik_kodu")
        ),
        sa.PrimaryKeyConstraint("tetkik_cihaz_eslesme_kodu", name=op.f("pk_tetkik_cihaz_eslesme")),
        sa.UniqueConstraint(
            "cihaz_kodu",
            "cihazdan_gelen_test_kodu",
            name=op.f("uq_tetkik_cihaz_eslesme_cihaz_kodu_cihazdan_gelen_test_kodu"),
        ),
        comment="Tetkik - cihaz eslesmeleri",
    )
    op.create_index("ix_tetkik_cihaz_eslesme_tetkik", "tetkik_cihaz_eslesme", ["tetkik_kodu"], unique=False)
    op.create_table(
        "tetkik_referans_aralik",
        sa.Column(
            "tetkik_referans_aralik_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("tetkik_kodu", sa.BigInteger(), nullable=False, comment="Tetkik"),
        sa.Column("tetkik_cinsiyet", sa.String(length=1), nullable=True, comment="F, M ya da bos (ikisi)"),
        sa.Column("yas_araligi_baslangic_gun", sa.Integer(), nullable=True, comment="Yas alt siniri (gun, dahil)"),
        sa.Column("yas_araligi_bitis_gun", sa.Integer(), nullable=True, comment="Yas ust siniri (gun, haric)"),
        sa.Column("ozel_durum", sa.String(length=30), nullable=True, comment="Ozel durum: gebe, sigara ..."),
        sa.Column("referans_baslangic_degeri", sa.Numeric(), nullable=True, comment="Alt sinir"),
        sa.Column("referans_bitis_degeri", sa.Numeric(), nullable=True, comment="Ust sinir"),
        sa.Column("alt_kritik_deger", sa.Numeric(), nullable=True, comment="Alt panik siniri (dahil)"),
        sa.Column("ust_kritik_deger", sa.Numeric(), nullable=True, comment="Ust panik siniri (dahil)"),
        sa.Column("normal_metin", sa.String(), nullable=True, comment="Metin sonuclarda normal olan deger"),
        sa.Column("gecerlilik_baslangic", sa.Date(), nullable=False, comment="Gecerlilik baslangici"),
        sa.Column("gecerlilik_bitis", sa.Date(), nullable=True, comment="Gecerlilik sonu (haric)"),
        sa.Column(
            "surum", sa.String(length=20), server_default="1", nullable=False, comment="Surum; kararlarda saklanir"
        ),
        sa.Column("onaylayan", sa.String(), server_default="", nullable=False, comment="Araligi onaylayan uzman"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column("guncelleme_zamani", sa.DateTime(timezone=True), nullable=True, comment="Son degisiklik zamani"),
        sa.CheckConstraint("tetkik_cinsiyet in ('F','M')", name=op.f("ck_tetkik_referans_aralik_cinsiyet")),
        sa.CheckConstraint(
            "gecerlilik_bitis is null or gecerlilik_bitis > gecerlilik_baslangic",
            name=op.f("ck_tetkik_referans_aralik_gecerlilik"),
        ),
        sa.ForeignKeyConstraint(
            ["tetkik_kodu"], ["tetkik.tetkik_kodu"], name=op.f("fk_tetkik_referans_aralik_tetkik_kodu")
        ),
        sa.PrimaryKeyConstraint("tetkik_referans_aralik_kodu", name=op.f("pk_tetkik_referans_aralik")),
        comment="Referans araliklari: cinsiyet, yas ve ozel duruma gore, gecerlilik tarihli",
    )
    op.create_index("ix_tetkik_referans_aralik_tetkik", "tetkik_referans_aralik", ["tetkik_kodu"], unique=False)
    op.create_table(
        "baglanti_durumu",
        sa.Column("baglanti_kodu", sa.BigInteger(), nullable=False, comment="Hat"),
        sa.Column("dinliyor", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="Hat acik mi"),
        sa.Column("bagli_uc", sa.Integer(), server_default="0", nullable=False, comment="Bagli uc sayisi"),
        sa.Column("karsi_adres", sa.String(), server_default="", nullable=False, comment="Son baglanan adres"),
        sa.Column("son_bayt_zamani", sa.DateTime(timezone=True), nullable=True, comment="Son bayt"),
        sa.Column("son_mesaj_zamani", sa.DateTime(timezone=True), nullable=True, comment="Son tam mesaj"),
        sa.Column(
            "mesaj_sayisi", sa.BigInteger(), server_default="0", nullable=False, comment="Acilistan beri tam mesaj"
        ),
        sa.Column("sorgu_sayisi", sa.BigInteger(), server_default="0", nullable=False, comment="Acilistan beri sorgu"),
        sa.Column("hata_sayisi", sa.BigInteger(), server_default="0", nullable=False, comment="Acilistan beri hata"),
        sa.Column("son_hata", sa.String(), nullable=True, comment="Son hata, insan sozuyle"),
        sa.Column("son_hata_zamani", sa.DateTime(timezone=True), nullable=True, comment="Son hatanin zamani"),
        sa.Column("guncelleme_zamani", sa.DateTime(timezone=True), nullable=False, comment="Durumun yazildigi zaman"),
        sa.ForeignKeyConstraint(
            ["baglanti_kodu"], ["baglanti.baglanti_kodu"], name=op.f("fk_baglanti_durumu_baglanti_kodu")
        ),
        sa.PrimaryKeyConstraint("baglanti_kodu", name=op.f("pk_baglanti_durumu")),
        comment="Hatlarin son durumu",
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "baglanti_olayi",
        sa.Column(
            "baglanti_olayi_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("baglanti_kodu", sa.BigInteger(), nullable=False, comment="Hat"),
        sa.Column("tur", sa.String(length=10), nullable=False, comment="bilgi, sorun"),
        sa.Column("cumle", sa.String(), nullable=False, comment="Ne oldugu, insan sozuyle"),
        sa.Column("adet", sa.Integer(), server_default="1", nullable=False, comment="Ard arda kac kez"),
        sa.Column("ilk_zaman", sa.DateTime(timezone=True), nullable=False, comment="Ilk kez oldugu zaman"),
        sa.Column("son_zaman", sa.DateTime(timezone=True), nullable=False, comment="Son kez oldugu zaman"),
        sa.ForeignKeyConstraint(
            ["baglanti_kodu"],
            ["baglanti.baglanti_kodu"],
            name=op.f("fk_baglanti_olayi_baglanti_kodu"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("baglanti_olayi_kodu", name=op.f("pk_baglanti_olayi")),
        comment="Hatlarin olaylari",
    )
    op.create_index("ix_baglanti_olayi_hat", "baglanti_olayi", ["baglanti_kodu", "baglanti_olayi_kodu"], unique=False)
    op.create_table(
        "baglanti_izleme",
        sa.Column("baglanti_kodu", sa.BigInteger(), nullable=False, comment="Hat"),
        sa.Column("bitis_zamani", sa.DateTime(timezone=True), nullable=False, comment="Izlemenin bitecegi zaman"),
        sa.ForeignKeyConstraint(
            ["baglanti_kodu"],
            ["baglanti.baglanti_kodu"],
            name=op.f("fk_baglanti_izleme_baglanti_kodu"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("baglanti_kodu", name=op.f("pk_baglanti_izleme")),
        comment="Canli trafigi izlenen hatlar",
    )
    op.create_table(
        "baglanti_trafigi",
        sa.Column(
            "baglanti_trafigi_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("baglanti_kodu", sa.BigInteger(), nullable=False, comment="Hat"),
        sa.Column("zaman", sa.DateTime(timezone=True), nullable=False, comment="Baytlarin zamani"),
        sa.Column("yon", sa.String(length=6), nullable=False, comment="gelen, giden"),
        sa.Column("icerik", sa.LargeBinary(), nullable=False, comment="Baytlar, oldugu gibi"),
        sa.ForeignKeyConstraint(
            ["baglanti_kodu"],
            ["baglanti.baglanti_kodu"],
            name=op.f("fk_baglanti_trafigi_baglanti_kodu"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("baglanti_trafigi_kodu", name=op.f("pk_baglanti_trafigi")),
        comment="Izlenen hatlarin baytlari (gecici)",
        prefixes=["UNLOGGED"],
    )
    op.create_index(
        "ix_baglanti_trafigi_hat", "baglanti_trafigi", ["baglanti_kodu", "baglanti_trafigi_kodu"], unique=False
    )
    op.create_table(
        "baglanti_denemesi",
        sa.Column(
            "baglanti_denemesi_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column(
            "baglanti_adi", sa.String(length=60), server_default="", nullable=False, comment="Hattin adi; bos = yeni"
        ),
        sa.Column(
            "baglanti_turu", sa.String(length=20), nullable=False, comment="tcp-sunucu, tcp-istemci, seri, klasor"
        ),
        sa.Column("protokol", sa.String(length=10), nullable=False, comment="astm, hl7, metin, tablo, poct1a"),
        sa.Column("adres", sa.String(), nullable=False, comment="sunucu:port, seri port ya da klasor yolu"),
        sa.Column(
            "ayarlar",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="Hat ayarlari",
        ),
        sa.Column("sure_saniye", sa.Integer(), nullable=False, comment="En cok kac saniye denenecegi"),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=True, comment="Isteyen kullanici"),
        sa.Column("istek_zamani", sa.DateTime(timezone=True), nullable=False, comment="Istendigi zaman"),
        sa.Column("baslama_zamani", sa.DateTime(timezone=True), nullable=True, comment="Basladigi zaman"),
        sa.Column("bitis_zamani", sa.DateTime(timezone=True), nullable=True, comment="Bittigi zaman"),
        sa.Column(
            "adimlar",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
            comment="Gorulenler: zaman ve cumle",
        ),
        sa.Column("sonuc", sa.String(length=10), server_default="", nullable=False, comment="iyi, uyari, kotu"),
        sa.Column(
            "gecit_kodu",
            sa.BigInteger(),
            nullable=True,
            comment="Denemeyi yapacak uzak gecit; bos = merkezdeki gecit",
        ),
        sa.ForeignKeyConstraint(["gecit_kodu"], ["gecit.gecit_kodu"], name=op.f("fk_baglanti_denemesi_gecit_kodu")),
        sa.PrimaryKeyConstraint("baglanti_denemesi_kodu", name=op.f("pk_baglanti_denemesi")),
        comment="Hat denemeleri",
    )
    op.create_index(
        "ix_baglanti_denemesi_bekleyen",
        "baglanti_denemesi",
        ["baglanti_denemesi_kodu"],
        unique=False,
        postgresql_where=sa.text("bitis_zamani is null"),
    )
    op.create_table(
        "bildirim",
        sa.Column(
            "bildirim_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("tur", sa.String(length=20), nullable=False, comment="panik, hat, hbys"),
        sa.Column("metin", sa.String(), nullable=False, comment="Bildirim metni"),
        sa.Column("nesne_turu", sa.String(length=40), server_default="", nullable=False, comment="Ilgili nesne"),
        sa.Column("nesne_kodu", sa.String(), server_default="", nullable=False, comment="Ilgili nesnenin kodu"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column("goruldu_zamani", sa.DateTime(timezone=True), nullable=True, comment="Goruldugu zaman"),
        sa.Column("goren_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Goren kullanici"),
        sa.ForeignKeyConstraint(
            ["goren_kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_bildirim_goren_kullanici_kodu")
        ),
        sa.PrimaryKeyConstraint("bildirim_kodu", name=op.f("pk_bildirim")),
        comment="Bildirimler",
    )
    op.create_index(
        "ix_bildirim_acik",
        "bildirim",
        ["bildirim_kodu"],
        unique=False,
        postgresql_where=sa.text("goruldu_zamani is null"),
    )
    op.create_table(
        "erisim_belirteci",
        sa.Column("anahtar_ozeti", sa.LargeBinary(), nullable=False, comment="Belirtecin SHA-256 ozeti"),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=False, comment="Kullanici"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column("bitis_zamani", sa.DateTime(timezone=True), nullable=False, comment="Gecerlilik sonu"),
        sa.ForeignKeyConstraint(
            ["kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_erisim_belirteci_kullanici_kodu")
        ),
        sa.PrimaryKeyConstraint("anahtar_ozeti", name=op.f("pk_erisim_belirteci")),
        comment="Web servis erisim belirtecleri",
    )
    op.create_index(op.f("ix_erisim_belirteci_kullanici_kodu"), "erisim_belirteci", ["kullanici_kodu"], unique=False)
    op.create_table(
        "ham_mesaj",
        sa.Column(
            "ham_mesaj_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("anahtar", sa.String(length=80), nullable=False, comment="Gecidin verdigi tekil anahtar"),
        sa.Column("cihaz_kodu", sa.BigInteger(), nullable=True, comment="Cihaz"),
        sa.Column("baglanti_kodu", sa.BigInteger(), nullable=True, comment="Hat"),
        sa.Column("alinma_zamani", sa.DateTime(timezone=True), nullable=False, comment="Alinma zamani"),
        sa.Column("protokol", sa.String(length=10), nullable=False, comment="astm, hl7, metin, tablo, poct1a"),
        sa.Column("icerik", sa.LargeBinary(), nullable=False, comment="Hattan geldigi gibi baytlar"),
        sa.Column("parmak_izi", sa.LargeBinary(), nullable=False, comment="Icerigin ozeti (baslik haric)"),
        sa.Column("tanim", sa.String(length=60), server_default="", nullable=False, comment="Okuyan tanim"),
        sa.Column("tanim_surumu", sa.Integer(), server_default="0", nullable=False, comment="Tanimin surumu"),
        sa.Column(
            "durum", sa.String(length=12), nullable=False, comment="islendi, kismen, tekrar, yarim, hata, sorgu, bos"
        ),
        sa.Column("sorun", sa.String(), nullable=True, comment="Sorun, insan sozuyle"),
        sa.Column("sonuc_sayisi", sa.Integer(), server_default="0", nullable=False, comment="Baglanan sonuc sayisi"),
        sa.Column(
            "eslesmeyen_sayisi", sa.Integer(), server_default="0", nullable=False, comment="Eslesmeyen sonuc sayisi"
        ),
        sa.Column(
            "tekrarladigi_mesaj_kodu", sa.BigInteger(), nullable=True, comment="Bu mesajin tekrarladigi ilk mesaj"
        ),
        sa.Column(
            "yarim_govde",
            sa.LargeBinary(),
            nullable=True,
            comment="Yarim kalan mesajin cercevesiz govdesi; tamami gelince taninsin diye",
        ),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.ForeignKeyConstraint(["baglanti_kodu"], ["baglanti.baglanti_kodu"], name=op.f("fk_ham_mesaj_baglanti_kodu")),
        sa.ForeignKeyConstraint(["cihaz_kodu"], ["cihaz.cihaz_kodu"], name=op.f("fk_ham_mesaj_cihaz_kodu")),
        sa.PrimaryKeyConstraint("ham_mesaj_kodu", name=op.f("pk_ham_mesaj")),
        sa.UniqueConstraint("anahtar", name=op.f("uq_ham_mesaj_anahtar")),
        comment="Cihazlardan gelen ham mesajlar",
    )
    op.create_index("ix_ham_mesaj_cihaz", "ham_mesaj", ["cihaz_kodu", "alinma_zamani"], unique=False)
    op.create_index("ix_ham_mesaj_parmak_izi", "ham_mesaj", ["cihaz_kodu", "parmak_izi"], unique=False)
    op.create_index(
        "ix_ham_mesaj_sorunlu",
        "ham_mesaj",
        ["durum", "ham_mesaj_kodu"],
        unique=False,
        postgresql_where=sa.text("durum in ('yarim','hata','kismen')"),
    )
    op.create_table(
        "bekleyen_dogrulama",
        sa.Column("anahtar_ozeti", sa.LargeBinary(), nullable=False, comment="Sorunun anahtarinin SHA-256 ozeti"),
        sa.Column(
            "tur", sa.String(length=20), nullable=False, comment="anahtar_ekle, anahtar_kullan, tek_giris, baglama"
        ),
        sa.Column("icerik", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="Sorunun icerigi"),
        sa.Column("bitis_zamani", sa.DateTime(timezone=True), nullable=False, comment="Gecerlilik sonu"),
        sa.PrimaryKeyConstraint("anahtar_ozeti", name=op.f("pk_bekleyen_dogrulama")),
        comment="Cevabi beklenen dogrulama sorulari; her biri bir kez kullanilir",
    )
    op.create_index(op.f("ix_bekleyen_dogrulama_bitis_zamani"), "bekleyen_dogrulama", ["bitis_zamani"], unique=False)
    op.create_table(
        "api_istemcisi",
        sa.Column(
            "api_istemcisi_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("ad", sa.String(length=60), nullable=False, comment="Istemcinin adi"),
        sa.Column("amac", sa.String(), server_default="", nullable=False, comment="Ne icin kullanildigi"),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=False, comment="Adina is gordugu kullanici"),
        sa.Column(
            "kapsamlar",
            postgresql.ARRAY(sa.String()),
            server_default="{}",
            nullable=False,
            comment="Yetki kodlari; istemci baska bir sey yapamaz",
        ),
        sa.Column(
            "aktiflik_bilgisi",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Kayit kullanimda mi",
        ),
        sa.Column("ekleyen_kullanici_kodu", sa.BigInteger(), nullable=False, comment="Ekleyen kullanici"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.ForeignKeyConstraint(
            ["ekleyen_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_api_istemcisi_ekleyen_kullanici_kodu"),
        ),
        sa.ForeignKeyConstraint(
            ["kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_api_istemcisi_kullanici_kodu")
        ),
        sa.PrimaryKeyConstraint("api_istemcisi_kodu", name=op.f("pk_api_istemcisi")),
        sa.UniqueConstraint("ad", name=op.f("uq_api_istemcisi_ad")),
        comment="Web servis istemcileri",
    )
    op.create_table(
        "calisma_durumu",
        sa.Column(
            "calisma_durumu_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=False, comment="Kullanici"),
        sa.Column("tur", sa.String(), nullable=False, comment="izin, rapor, gecici_gorev, egitim, diger, ayrilis"),
        sa.Column("baslangic_tarihi", sa.Date(), nullable=False, comment="Ilk gun"),
        sa.Column("bitis_tarihi", sa.Date(), nullable=True, comment="Son gun, dahil; bos = surekli"),
        sa.Column("aciklama", sa.String(), server_default="", nullable=False, comment="Aciklama"),
        sa.Column(
            "kaynak",
            sa.String(length=30),
            server_default="ekran",
            nullable=False,
            comment="ekran ya da personel modulundeki kaydin numarasi",
        ),
        sa.Column(
            "ekleyen_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Kaydeden kullanici; bos = program"
        ),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column("iptal_zamani", sa.DateTime(timezone=True), nullable=True, comment="Kaydin geri alindigi zaman"),
        sa.CheckConstraint("(tur = 'ayrilis') = (bitis_tarihi is null)", name=op.f("ck_calisma_durumu_bitis")),
        sa.CheckConstraint(
            "bitis_tarihi is null or bitis_tarihi >= baslangic_tarihi", name=op.f("ck_calisma_durumu_sira")
        ),
        sa.ForeignKeyConstraint(
            ["ekleyen_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_calisma_durumu_ekleyen_kullanici_kodu"),
        ),
        sa.ForeignKeyConstraint(
            ["kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_calisma_durumu_kullanici_kodu")
        ),
        sa.PrimaryKeyConstraint("calisma_durumu_kodu", name=op.f("pk_calisma_durumu")),
        comment="Izin, rapor, gorevlendirme, ayrilis: bu surede giris yapilamaz",
    )
    op.create_index(
        "ix_calisma_durumu_acik",
        "calisma_durumu",
        ["kullanici_kodu", "baslangic_tarihi"],
        unique=False,
        postgresql_where=sa.text("iptal_zamani is null"),
    )
    op.create_table(
        "destek_erisimi",
        sa.Column(
            "destek_erisimi_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=False, comment="Destek calisaninin kullanicisi"),
        sa.Column("neden", sa.String(), nullable=False, comment="Erisimin nedeni"),
        sa.Column("anahtar_ozeti", sa.LargeBinary(), nullable=False, comment="Tek kullanimlik sifrenin SHA-256 ozeti"),
        sa.Column("veren_kullanici_kodu", sa.BigInteger(), nullable=False, comment="Izni veren yonetici"),
        sa.Column("baslangic_zamani", sa.DateTime(timezone=True), nullable=False, comment="Baslangic"),
        sa.Column(
            "bitis_zamani", sa.DateTime(timezone=True), nullable=False, comment="Bitis; acik oturum da o an biter"
        ),
        sa.Column("kullanim_zamani", sa.DateTime(timezone=True), nullable=True, comment="Sifrenin kullanildigi zaman"),
        sa.Column("iptal_zamani", sa.DateTime(timezone=True), nullable=True, comment="Yonetimin geri aldigi zaman"),
        sa.CheckConstraint("neden <> ''", name=op.f("ck_destek_erisimi_neden")),
        sa.CheckConstraint("bitis_zamani > baslangic_zamani", name=op.f("ck_destek_erisimi_sira")),
        sa.ForeignKeyConstraint(
            ["kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_destek_erisimi_kullanici_kodu")
        ),
        sa.ForeignKeyConstraint(
            ["veren_kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_destek_erisimi_veren_kullanici_kodu")
        ),
        sa.PrimaryKeyConstraint("destek_erisimi_kodu", name=op.f("pk_destek_erisimi")),
        sa.UniqueConstraint("anahtar_ozeti", name=op.f("uq_destek_erisimi_anahtar_ozeti")),
        comment="Hastanenin sureli verdigi destek erisimleri",
    )
    op.create_index(op.f("ix_destek_erisimi_kullanici_kodu"), "destek_erisimi", ["kullanici_kodu"], unique=False)
    op.create_table(
        "dis_kimlik",
        sa.Column(
            "dis_kimlik_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=False, comment="Kullanici"),
        sa.Column("saglayici", sa.String(), nullable=False, comment="Saglayicinin adresi (iss)"),
        sa.Column("kimlik", sa.String(), nullable=False, comment="Saglayicidaki kimlik (sub)"),
        sa.Column(
            "ad", sa.String(), server_default="", nullable=False, comment="Baglandigi gun saglayicinin bildirdigi ad"
        ),
        sa.Column("baglayan_kullanici_kodu", sa.BigInteger(), nullable=False, comment="Baglayan kullanici"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column("son_kullanim", sa.DateTime(timezone=True), nullable=True, comment="Son giris zamani"),
        sa.ForeignKeyConstraint(
            ["baglayan_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_dis_kimlik_baglayan_kullanici_kodu"),
        ),
        sa.ForeignKeyConstraint(
            ["kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_dis_kimlik_kullanici_kodu")
        ),
        sa.PrimaryKeyConstraint("dis_kimlik_kodu", name=op.f("pk_dis_kimlik")),
        sa.UniqueConstraint("saglayici", "kimlik", name=op.f("uq_dis_kimlik_saglayici_kimlik")),
        comment="Tek giris kimlikleri (OpenID Connect)",
    )
    op.create_index(op.f("ix_dis_kimlik_kullanici_kodu"), "dis_kimlik", ["kullanici_kodu"], unique=False)
    op.create_table(
        "eski_parola",
        sa.Column(
            "eski_parola_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=False, comment="Kullanici"),
        sa.Column("parola", sa.String(), nullable=False, comment="Argon2id ozeti"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.ForeignKeyConstraint(
            ["kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_eski_parola_kullanici_kodu")
        ),
        sa.PrimaryKeyConstraint("eski_parola_kodu", name=op.f("pk_eski_parola")),
        comment="Daha once kullanilmis parolalarin ozetleri",
    )
    op.create_index(op.f("ix_eski_parola_kullanici_kodu"), "eski_parola", ["kullanici_kodu"], unique=False)
    op.create_table(
        "giris_guvenligi",
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=False, comment="Kullanici"),
        sa.Column("hesap_turu", sa.String(), server_default="kisi", nullable=False, comment="kisi, destek, istemci"),
        sa.Column("parola_zamani", sa.DateTime(timezone=True), nullable=True, comment="Parolanin verildigi zaman"),
        sa.Column(
            "parola_degismeli",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Ilk giriste parola degistirilmeli",
        ),
        sa.Column(
            "totp_anahtari", sa.LargeBinary(), nullable=True, comment="Dogrulama uygulamasinin anahtari, sifreli"
        ),
        sa.Column(
            "totp_onay_zamani",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Uygulamanin ilk dogru kodu verdigi zaman",
        ),
        sa.Column(
            "totp_son_adim",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="Kabul edilen son kodun 30 saniyelik adimi",
        ),
        sa.Column(
            "anahtar_kullanicisi",
            sa.LargeBinary(),
            nullable=True,
            comment="Guvenlik anahtarlarina verilen rastgele kullanici adi",
        ),
        sa.ForeignKeyConstraint(
            ["kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_giris_guvenligi_kullanici_kodu")
        ),
        sa.PrimaryKeyConstraint("kullanici_kodu", name=op.f("pk_giris_guvenligi")),
        sa.UniqueConstraint("anahtar_kullanicisi", name=op.f("uq_giris_guvenligi_anahtar_kullanicisi")),
        comment="Kullanicilarin giris guvenligi: parola suresi, ikinci asama",
    )
    op.create_table(
        "guvenlik_anahtari",
        sa.Column(
            "guvenlik_anahtari_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=False, comment="Kullanici"),
        sa.Column("kimlik", sa.LargeBinary(), nullable=False, comment="Anahtarin kimligi"),
        sa.Column("acik_anahtar", sa.LargeBinary(), nullable=False, comment="Acik anahtar (COSE)"),
        sa.Column("sayac", sa.BigInteger(), server_default="0", nullable=False, comment="Imza sayaci"),
        sa.Column("ad", sa.String(length=60), nullable=False, comment="Kisinin verdigi ad"),
        sa.Column(
            "tasima",
            postgresql.ARRAY(sa.String()),
            server_default="{}",
            nullable=False,
            comment="usb, nfc, ble, internal, hybrid",
        ),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column("son_kullanim", sa.DateTime(timezone=True), nullable=True, comment="Son kullanim zamani"),
        sa.ForeignKeyConstraint(
            ["kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_guvenlik_anahtari_kullanici_kodu")
        ),
        sa.PrimaryKeyConstraint("guvenlik_anahtari_kodu", name=op.f("pk_guvenlik_anahtari")),
        sa.UniqueConstraint("kimlik", name=op.f("uq_guvenlik_anahtari_kimlik")),
        comment="Guvenlik anahtarlari (WebAuthn)",
    )
    op.create_index(op.f("ix_guvenlik_anahtari_kullanici_kodu"), "guvenlik_anahtari", ["kullanici_kodu"], unique=False)
    op.create_table(
        "kurtarma_kodu",
        sa.Column(
            "kurtarma_kodu_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=False, comment="Kullanici"),
        sa.Column("kod_ozeti", sa.LargeBinary(), nullable=False, comment="Kodun SHA-256 ozeti"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column("kullanim_zamani", sa.DateTime(timezone=True), nullable=True, comment="Kullanildigi zaman"),
        sa.ForeignKeyConstraint(
            ["kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_kurtarma_kodu_kullanici_kodu")
        ),
        sa.PrimaryKeyConstraint("kurtarma_kodu_kodu", name=op.f("pk_kurtarma_kodu")),
        sa.UniqueConstraint("kod_ozeti", name=op.f("uq_kurtarma_kodu_kod_ozeti")),
        comment="Tek kullanimlik kurtarma kodlari",
    )
    op.create_index(op.f("ix_kurtarma_kodu_kullanici_kodu"), "kurtarma_kodu", ["kullanici_kodu"], unique=False)
    op.create_table(
        "taninan_cihaz",
        sa.Column(
            "taninan_cihaz_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("anahtar_ozeti", sa.LargeBinary(), nullable=False, comment="Cerez anahtarinin SHA-256 ozeti"),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=False, comment="Kullanici"),
        sa.Column("tarayici", sa.String(), server_default="", nullable=False, comment="Tarayici ve isletim sistemi"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column(
            "son_kullanim",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Son giris zamani",
        ),
        sa.Column(
            "guven_bitisi", sa.DateTime(timezone=True), nullable=True, comment="Bu zamana kadar ikinci asama sorulmaz"
        ),
        sa.ForeignKeyConstraint(
            ["kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_taninan_cihaz_kullanici_kodu")
        ),
        sa.PrimaryKeyConstraint("taninan_cihaz_kodu", name=op.f("pk_taninan_cihaz")),
        sa.UniqueConstraint(
            "anahtar_ozeti", "kullanici_kodu", name=op.f("uq_taninan_cihaz_anahtar_ozeti_kullanici_kodu")
        ),
        comment="Kisinin daha once giris yaptigi tarayicilar",
    )
    op.create_index(op.f("ix_taninan_cihaz_kullanici_kodu"), "taninan_cihaz", ["kullanici_kodu"], unique=False)
    op.create_table(
        "api_belirteci",
        sa.Column(
            "api_belirteci_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("api_istemcisi_kodu", sa.BigInteger(), nullable=False, comment="Istemci"),
        sa.Column("on_ek", sa.String(length=20), nullable=False, comment="Belirtecin gorunen basi"),
        sa.Column("anahtar_ozeti", sa.LargeBinary(), nullable=False, comment="Belirtecin SHA-256 ozeti"),
        sa.Column("ekleyen_kullanici_kodu", sa.BigInteger(), nullable=False, comment="Veren kullanici"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column("bitis_zamani", sa.DateTime(timezone=True), nullable=False, comment="Gecerlilik sonu"),
        sa.Column("son_kullanim", sa.DateTime(timezone=True), nullable=True, comment="Son kullanim zamani"),
        sa.Column("son_adres", sa.String(), server_default="", nullable=False, comment="Son kullanildigi adres"),
        sa.Column("iptal_zamani", sa.DateTime(timezone=True), nullable=True, comment="Iptal zamani"),
        sa.ForeignKeyConstraint(
            ["api_istemcisi_kodu"],
            ["api_istemcisi.api_istemcisi_kodu"],
            name=op.f("fk_api_belirteci_api_istemcisi_kodu"),
        ),
        sa.ForeignKeyConstraint(
            ["ekleyen_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_api_belirteci_ekleyen_kullanici_kodu"),
        ),
        sa.PrimaryKeyConstraint("api_belirteci_kodu", name=op.f("pk_api_belirteci")),
        sa.UniqueConstraint("on_ek", name=op.f("uq_api_belirteci_on_ek")),
        comment="Web servis istemcilerinin belirtecleri",
    )
    op.create_index(op.f("ix_api_belirteci_api_istemcisi_kodu"), "api_belirteci", ["api_istemcisi_kodu"], unique=False)
    op.create_table(
        "oturum",
        sa.Column("anahtar_ozeti", sa.LargeBinary(), nullable=False, comment="Cerez anahtarinin SHA-256 ozeti"),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=False, comment="Kullanici"),
        sa.Column("form_anahtari", sa.String(), nullable=False, comment="CSRF korumasi icin form anahtari"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column("bitis_zamani", sa.DateTime(timezone=True), nullable=False, comment="Gecerlilik sonu"),
        sa.Column("ip_adresi", sa.String(), server_default="", nullable=False, comment="Acildigi adres"),
        sa.Column(
            "oturum_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Listede ve denetimde gorunen numarasi",
        ),
        sa.Column(
            "asama",
            sa.String(length=10),
            server_default="tam",
            nullable=False,
            comment="tam; ikinci, kurulum, parola: giris bitmedi",
        ),
        sa.Column("yontem", sa.String(length=40), server_default="parola", nullable=False, comment="Nasil girildigi"),
        sa.Column(
            "tarayici_ozeti",
            sa.LargeBinary(),
            server_default="",
            nullable=False,
            comment="Tarayicinin ozeti; baska tarayicidan kullanilamaz",
        ),
        sa.Column("tarayici", sa.String(), server_default="", nullable=False, comment="Tarayici ve isletim sistemi"),
        sa.Column(
            "son_kullanim",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Son istegin zamani",
        ),
        sa.Column(
            "dogrulama_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kisinin kendini son kanitladigi zaman",
        ),
        sa.Column(
            "hatali_kod",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="Ikinci asamada hatali deneme sayisi",
        ),
        sa.Column("taninan_cihaz_kodu", sa.BigInteger(), nullable=True, comment="Tarayici kaydi"),
        sa.Column("destek_erisimi_kodu", sa.BigInteger(), nullable=True, comment="Destek erisimi ise izni"),
        sa.ForeignKeyConstraint(
            ["taninan_cihaz_kodu"],
            ["taninan_cihaz.taninan_cihaz_kodu"],
            name=op.f("fk_oturum_taninan_cihaz_kodu"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["destek_erisimi_kodu"], ["destek_erisimi.destek_erisimi_kodu"], name=op.f("fk_oturum_destek_erisimi_kodu")
        ),
        sa.UniqueConstraint("oturum_kodu", name=op.f("uq_oturum_oturum_kodu")),
        sa.ForeignKeyConstraint(
            ["kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_oturum_kullanici_kodu")
        ),
        sa.PrimaryKeyConstraint("anahtar_ozeti", name=op.f("pk_oturum")),
        comment="Acik web oturumlari",
    )
    op.create_index(op.f("ix_oturum_kullanici_kodu"), "oturum", ["kullanici_kodu"], unique=False)
    op.create_table(
        "tetkik_istem",
        sa.Column(
            "tetkik_istem_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("numune_numarasi", sa.String(length=18), nullable=False, comment="Istemin barkod numarasi"),
        sa.Column("hasta_kodu", sa.BigInteger(), nullable=False, comment="Hasta"),
        sa.Column("isteyen_hekim_kodu", sa.BigInteger(), nullable=True, comment="Isteyen hekim"),
        sa.Column("birim_kodu", sa.BigInteger(), nullable=True, comment="Isteyen birim"),
        sa.Column("aciliyet", sa.String(), nullable=False, comment="acil, oncelikli, rutin"),
        sa.Column(
            "klinik_bilgi",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="Klinik bilgi: gebelik, sigara, son adet tarihi, on tani, not",
        ),
        sa.Column(
            "entegrasyon_numarasi",
            sa.String(length=50),
            nullable=True,
            comment="Hastane sisteminin istem numarasi (ORC-2)",
        ),
        sa.Column("kaynak", sa.String(length=20), server_default="ekran", nullable=False, comment="ekran, api, hbys"),
        sa.Column("istem_zamani", sa.DateTime(timezone=True), nullable=False, comment="Istem zamani"),
        sa.Column("ekleyen_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Istemi kaydeden kullanici"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.ForeignKeyConstraint(["birim_kodu"], ["birim.birim_kodu"], name=op.f("fk_tetkik_istem_birim_kodu")),
        sa.ForeignKeyConstraint(
            ["ekleyen_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_tetkik_istem_ekleyen_kullanici_kodu"),
        ),
        sa.ForeignKeyConstraint(["hasta_kodu"], ["hasta.hasta_kodu"], name=op.f("fk_tetkik_istem_hasta_kodu")),
        sa.ForeignKeyConstraint(
            ["isteyen_hekim_kodu"], ["personel.personel_kodu"], name=op.f("fk_tetkik_istem_isteyen_hekim_kodu")
        ),
        sa.PrimaryKeyConstraint("tetkik_istem_kodu", name=op.f("pk_tetkik_istem")),
        sa.UniqueConstraint("numune_numarasi", name=op.f("uq_tetkik_istem_numune_numarasi")),
        comment="Tetkik istemleri: bir istem, bir barkod numarasi",
    )
    op.create_index("ix_tetkik_istem_hasta", "tetkik_istem", ["hasta_kodu", "istem_zamani"], unique=False)
    op.create_index("ix_tetkik_istem_personel", "tetkik_istem", ["isteyen_hekim_kodu", "istem_zamani"], unique=False)
    op.create_index("ix_tetkik_istem_zaman", "tetkik_istem", ["istem_zamani"], unique=False)
    op.create_index(
        "uq_tetkik_istem_entegrasyon",
        "tetkik_istem",
        ["entegrasyon_numarasi"],
        unique=True,
        postgresql_where=sa.text("entegrasyon_numarasi is not null"),
    )
    op.create_table(
        "eslesmeyen_sonuc",
        sa.Column(
            "eslesmeyen_sonuc_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("ham_mesaj_kodu", sa.BigInteger(), nullable=False, comment="Ham mesaj"),
        sa.Column("cihaz_kodu", sa.BigInteger(), nullable=True, comment="Cihaz"),
        sa.Column("olcum_anahtari", sa.LargeBinary(), nullable=False, comment="Olcumun tekil anahtari"),
        sa.Column(
            "neden",
            sa.String(length=30),
            nullable=False,
            comment="numune_yok, test_tanimsiz, istemde_yok, materyal, kapali, onayli, numunesiz, birim, deger",
        ),
        sa.Column("aciklama", sa.String(), nullable=False, comment="Neden, insan sozuyle"),
        sa.Column(
            "icerik", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="Okunan sonuc, oldugu gibi"
        ),
        sa.Column(
            "durum",
            sa.String(length=12),
            server_default="bekliyor",
            nullable=False,
            comment="bekliyor, baglandi, kapatildi",
        ),
        sa.Column("alinma_zamani", sa.DateTime(timezone=True), nullable=False, comment="Alinma zamani"),
        sa.Column("cozen_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Cozen kullanici"),
        sa.Column("cozum_zamani", sa.DateTime(timezone=True), nullable=True, comment="Cozum zamani"),
        sa.Column("cozum_gerekcesi", sa.String(), nullable=True, comment="Cozum gerekcesi"),
        sa.Column("tetkik_sonuc_kodu", sa.BigInteger(), nullable=True, comment="Baglandigi sonuc"),
        sa.ForeignKeyConstraint(["cihaz_kodu"], ["cihaz.cihaz_kodu"], name=op.f("fk_eslesmeyen_sonuc_cihaz_kodu")),
        sa.ForeignKeyConstraint(
            ["cozen_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_eslesmeyen_sonuc_cozen_kullanici_kodu"),
        ),
        sa.ForeignKeyConstraint(
            ["ham_mesaj_kodu"], ["ham_mesaj.ham_mesaj_kodu"], name=op.f("fk_eslesmeyen_sonuc_ham_mesaj_kodu")
        ),
        sa.PrimaryKeyConstraint("eslesmeyen_sonuc_kodu", name=op.f("pk_eslesmeyen_sonuc")),
        sa.UniqueConstraint("olcum_anahtari", name=op.f("uq_eslesmeyen_sonuc_olcum_anahtari")),
        comment="Eslesmeyen sonuclar kuyrugu",
    )
    op.create_index(
        "ix_eslesmeyen_sonuc_bekleyen",
        "eslesmeyen_sonuc",
        ["eslesmeyen_sonuc_kodu"],
        unique=False,
        postgresql_where=sa.text("durum = 'bekliyor'"),
    )
    op.create_index("ix_eslesmeyen_sonuc_ham_mesaj", "eslesmeyen_sonuc", ["ham_mesaj_kodu"], unique=False)
    op.create_table(
        "hbys_mesaj",
        sa.Column(
            "hbys_mesaj_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("yon", sa.String(length=6), nullable=False, comment="gelen, giden"),
        sa.Column("gonderen", sa.String(), nullable=False, comment="MSH-3 | MSH-4"),
        sa.Column("kontrol_numarasi", sa.String(length=60), nullable=False, comment="MSH-10"),
        sa.Column("mesaj_turu", sa.String(length=20), nullable=False, comment="MSH-9"),
        sa.Column("icerik", sa.LargeBinary(), nullable=False, comment="Mesaj, aynen"),
        sa.Column("cevap", sa.LargeBinary(), nullable=True, comment="Verilen ya da alinan cevap"),
        sa.Column("sonuc", sa.String(length=10), nullable=False, comment="AA, AE, AR"),
        sa.Column("aciklama", sa.String(), nullable=True, comment="Hata aciklamasi"),
        sa.Column("tetkik_istem_kodu", sa.BigInteger(), nullable=True, comment="Ilgili istem"),
        sa.Column(
            "zaman", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False, comment="Zaman"
        ),
        sa.ForeignKeyConstraint(
            ["tetkik_istem_kodu"], ["tetkik_istem.tetkik_istem_kodu"], name=op.f("fk_hbys_mesaj_tetkik_istem_kodu")
        ),
        sa.PrimaryKeyConstraint("hbys_mesaj_kodu", name=op.f("pk_hbys_mesaj")),
        comment="Hastane sistemi ile mesajlasma",
    )
    op.create_index("ix_hbys_mesaj_istem", "hbys_mesaj", ["tetkik_istem_kodu", "hbys_mesaj_kodu"], unique=False)
    op.create_index("ix_hbys_mesaj_zaman", "hbys_mesaj", ["zaman"], unique=False)
    op.create_index(
        "uq_hbys_mesaj_gelen",
        "hbys_mesaj",
        ["gonderen", "kontrol_numarasi"],
        unique=True,
        postgresql_where=sa.text("yon = 'gelen'"),
    )
    op.create_table(
        "kk_olcum",
        sa.Column(
            "kk_olcum_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("ham_mesaj_kodu", sa.BigInteger(), nullable=False, comment="Ham mesaj"),
        sa.Column("cihaz_kodu", sa.BigInteger(), nullable=True, comment="Cihaz"),
        sa.Column("olcum_anahtari", sa.LargeBinary(), nullable=False, comment="Olcumun tekil anahtari"),
        sa.Column(
            "kontrol_numarasi",
            sa.String(),
            server_default="",
            nullable=False,
            comment="Cihazin bildirdigi kontrol kimligi",
        ),
        sa.Column("tetkik_kodu", sa.BigInteger(), nullable=True, comment="Tetkik (eslesmisse)"),
        sa.Column("cihaz_test_kodu", sa.String(length=60), nullable=False, comment="Cihazin test kodu"),
        sa.Column("deger", sa.String(), nullable=False, comment="Cihazin metni"),
        sa.Column("sayisal_deger", sa.Numeric(), nullable=True, comment="Sayi ise degeri"),
        sa.Column("birim", sa.String(), server_default="", nullable=False, comment="Birim"),
        sa.Column("lot", sa.String(), nullable=True, comment="Lot"),
        sa.Column("olcum_zamani", sa.DateTime(timezone=True), nullable=True, comment="Olcum zamani"),
        sa.Column("alinma_zamani", sa.DateTime(timezone=True), nullable=False, comment="Alinma zamani"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.ForeignKeyConstraint(["cihaz_kodu"], ["cihaz.cihaz_kodu"], name=op.f("fk_kk_olcum_cihaz_kodu")),
        sa.ForeignKeyConstraint(
            ["ham_mesaj_kodu"], ["ham_mesaj.ham_mesaj_kodu"], name=op.f("fk_kk_olcum_ham_mesaj_kodu")
        ),
        sa.ForeignKeyConstraint(["tetkik_kodu"], ["tetkik.tetkik_kodu"], name=op.f("fk_kk_olcum_tetkik_kodu")),
        sa.PrimaryKeyConstraint("kk_olcum_kodu", name=op.f("pk_kk_olcum")),
        sa.UniqueConstraint("olcum_anahtari", name=op.f("uq_kk_olcum_olcum_anahtari")),
        comment="Kalite kontrol olcumleri",
    )
    op.create_index("ix_kk_olcum_cihaz", "kk_olcum", ["cihaz_kodu", "alinma_zamani"], unique=False)
    op.create_table(
        "tetkik_numune",
        sa.Column(
            "tetkik_numune_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("tetkik_istem_kodu", sa.BigInteger(), nullable=False, comment="Istem"),
        sa.Column(
            "barkod", sa.String(length=22), nullable=False, comment="Etiketteki barkod: istem numarasi + tup kodu"
        ),
        sa.Column("tup_kodu", sa.String(length=2), nullable=False, comment="Tup turu"),
        sa.Column("numune_turu", sa.String(length=20), nullable=False, comment="Materyal"),
        sa.Column("ana_numune_kodu", sa.BigInteger(), nullable=True, comment="Alikotun alindigi numune"),
        sa.Column("numune_durumu", sa.String(), nullable=False, comment="Tupun durumu"),
        sa.Column("numune_alma_zamani", sa.DateTime(timezone=True), nullable=True, comment="Numune alma zamani"),
        sa.Column("numune_alan_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Numuneyi alan"),
        sa.Column(
            "numune_kabul_zamani", sa.DateTime(timezone=True), nullable=True, comment="Laboratuvara kabul zamani"
        ),
        sa.Column("kabul_eden_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Kabul eden"),
        sa.Column("numune_ret_nedeni", sa.String(), nullable=True, comment="Ret ya da sartli kabul nedeni"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.ForeignKeyConstraint(
            ["ana_numune_kodu"], ["tetkik_numune.tetkik_numune_kodu"], name=op.f("fk_tetkik_numune_ana_numune_kodu")
        ),
        sa.ForeignKeyConstraint(
            ["kabul_eden_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_tetkik_numune_kabul_eden_kullanici_kodu"),
        ),
        sa.ForeignKeyConstraint(
            ["numune_alan_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_tetkik_numune_numune_alan_kullanici_kodu"),
        ),
        sa.ForeignKeyConstraint(
            ["numune_turu"], ["numune_turu.numune_turu"], name=op.f("fk_tetkik_numune_numune_turu")
        ),
        sa.ForeignKeyConstraint(
            ["tetkik_istem_kodu"], ["tetkik_istem.tetkik_istem_kodu"], name=op.f("fk_tetkik_numune_tetkik_istem_kodu")
        ),
        sa.ForeignKeyConstraint(["tup_kodu"], ["tup_turu.tup_kodu"], name=op.f("fk_tetkik_numune_tup_kodu")),
        sa.PrimaryKeyConstraint("tetkik_numune_kodu", name=op.f("pk_tetkik_numune")),
        sa.UniqueConstraint("barkod", name=op.f("uq_tetkik_numune_barkod")),
        comment="Numuneler: tupler ve alikotlar",
    )
    op.create_index("ix_tetkik_numune_durum", "tetkik_numune", ["numune_durumu", "tetkik_numune_kodu"], unique=False)
    op.create_index("ix_tetkik_numune_istem", "tetkik_numune", ["tetkik_istem_kodu"], unique=False)
    op.create_table(
        "barkod_kayit",
        sa.Column("barkod", sa.String(length=22), nullable=False, comment="Okunan metin"),
        sa.Column("tetkik_istem_kodu", sa.BigInteger(), nullable=False, comment="Istem"),
        sa.Column("tetkik_numune_kodu", sa.BigInteger(), nullable=True, comment="Tup; bos = istem numarasinin kendisi"),
        sa.ForeignKeyConstraint(
            ["tetkik_istem_kodu"], ["tetkik_istem.tetkik_istem_kodu"], name=op.f("fk_barkod_kayit_tetkik_istem_kodu")
        ),
        sa.ForeignKeyConstraint(
            ["tetkik_numune_kodu"],
            ["tetkik_numune.tetkik_numune_kodu"],
            name=op.f("fk_barkod_kayit_tetkik_numune_kodu"),
        ),
        sa.PrimaryKeyConstraint("barkod", name=op.f("pk_barkod_kayit")),
        comment="Okunabilen her barkod metni, bir kez",
    )
    op.create_table(
        "istem_tetkik",
        sa.Column(
            "istem_tetkik_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("tetkik_istem_kodu", sa.BigInteger(), nullable=False, comment="Istem"),
        sa.Column("tetkik_kodu", sa.BigInteger(), nullable=False, comment="Tetkik"),
        sa.Column("panel_kodu", sa.BigInteger(), nullable=True, comment="Icinde istendigi panel"),
        sa.Column(
            "tetkik_numune_kodu", sa.BigInteger(), nullable=True, comment="Dusunulen tup; baska tupten de calisilabilir"
        ),
        sa.Column(
            "calisma_grubu", sa.String(length=20), nullable=False, comment="Calisma grubu (tetkikten; is listesi icin)"
        ),
        sa.Column(
            "zaman_noktasi",
            sa.String(length=10),
            server_default="",
            nullable=False,
            comment="Aclik, tokluk, 60. dakika gibi zaman noktasi; bos = yok",
        ),
        sa.Column("tetkik_durumu", sa.String(), nullable=False, comment="Tetkikin durumu"),
        sa.Column("durum_zamani", sa.DateTime(timezone=True), nullable=False, comment="Duruma gecis zamani"),
        sa.Column(
            "surum",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Her durum degisikliginde artar; onaylari siraya koyar",
        ),
        sa.Column("tetkik_sonuc_kodu", sa.BigInteger(), nullable=True, comment="Gecerli sonuc kosusu"),
        sa.Column("kosu_sayisi", sa.Integer(), server_default="0", nullable=False, comment="Kac kosu geldi"),
        sa.Column("calisan_cihaz_kodu", sa.BigInteger(), nullable=True, comment="Is emrini alan cihaz"),
        sa.Column(
            "calisma_baslama_zamani",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Is emrinin cihaza verildigi zaman",
        ),
        sa.Column("istenen_cihaz_kodu", sa.BigInteger(), nullable=True, comment="Tekrar icin istenen cihaz (9.7.6a)"),
        sa.ForeignKeyConstraint(
            ["calisan_cihaz_kodu"], ["cihaz.cihaz_kodu"], name=op.f("fk_istem_tetkik_calisan_cihaz_kodu")
        ),
        sa.ForeignKeyConstraint(
            ["istenen_cihaz_kodu"], ["cihaz.cihaz_kodu"], name=op.f("fk_istem_tetkik_istenen_cihaz_kodu")
        ),
        sa.ForeignKeyConstraint(["panel_kodu"], ["tetkik.tetkik_kodu"], name=op.f("fk_istem_tetkik_panel_kodu")),
        sa.ForeignKeyConstraint(
            ["tetkik_istem_kodu"], ["tetkik_istem.tetkik_istem_kodu"], name=op.f("fk_istem_tetkik_tetkik_istem_kodu")
        ),
        sa.ForeignKeyConstraint(["tetkik_kodu"], ["tetkik.tetkik_kodu"], name=op.f("fk_istem_tetkik_tetkik_kodu")),
        sa.ForeignKeyConstraint(
            ["tetkik_numune_kodu"],
            ["tetkik_numune.tetkik_numune_kodu"],
            name=op.f("fk_istem_tetkik_tetkik_numune_kodu"),
        ),
        sa.PrimaryKeyConstraint("istem_tetkik_kodu", name=op.f("pk_istem_tetkik")),
        sa.UniqueConstraint(
            "tetkik_istem_kodu",
            "tetkik_kodu",
            "zaman_noktasi",
            name=op.f("uq_istem_tetkik_tetkik_istem_kodu_tetkik_kodu_zaman_noktasi"),
        ),
        comment="Istenen tetkikler: bir istemin her tetkiki bir satir",
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(
        "ix_istem_tetkik_is_listesi",
        "istem_tetkik",
        ["tetkik_durumu", "calisma_grubu"],
        unique=False,
        postgresql_where=sa.text("tetkik_durumu in ('sonuclandi','teknik_onayli')"),
    )
    op.create_index(
        "ix_istem_tetkik_tekrar",
        "istem_tetkik",
        ["tetkik_durumu"],
        unique=False,
        postgresql_where=sa.text("kosu_sayisi > 0 and tetkik_sonuc_kodu is null"),
    )
    op.create_index(
        "ix_istem_tetkik_onayli",
        "istem_tetkik",
        ["durum_zamani"],
        unique=False,
        postgresql_where=sa.text("tetkik_durumu = 'klinik_onayli'"),
    )
    op.create_index("ix_istem_tetkik_numune", "istem_tetkik", ["tetkik_numune_kodu"], unique=False)
    op.create_table(
        "numune_hareket",
        sa.Column(
            "numune_hareket_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("tetkik_numune_kodu", sa.BigInteger(), nullable=False, comment="Numune"),
        sa.Column(
            "islem", sa.String(length=20), nullable=False, comment="alindi, yolda, kabul, sartli_kabul, ret, cihazda"
        ),
        sa.Column("islem_zamani", sa.DateTime(timezone=True), nullable=False, comment="Islem zamani"),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=True, comment="Islemi yapan"),
        sa.Column("cihaz_kodu", sa.BigInteger(), nullable=True, comment="Tupun okundugu cihaz"),
        sa.Column("raf", sa.String(length=20), nullable=True, comment="Raf"),
        sa.Column("pozisyon", sa.String(length=20), nullable=True, comment="Raftaki yer"),
        sa.Column("gerekce", sa.String(), nullable=True, comment="Gerekce"),
        sa.Column("kaynak", sa.String(length=20), server_default="", nullable=False, comment="Islemin kaynagi"),
        sa.CheckConstraint(
            "kullanici_kodu is not null or cihaz_kodu is not null or kaynak <> ''", name=op.f("ck_numune_hareket_kimin")
        ),
        sa.ForeignKeyConstraint(["cihaz_kodu"], ["cihaz.cihaz_kodu"], name=op.f("fk_numune_hareket_cihaz_kodu")),
        sa.ForeignKeyConstraint(
            ["kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_numune_hareket_kullanici_kodu")
        ),
        sa.ForeignKeyConstraint(
            ["tetkik_numune_kodu"],
            ["tetkik_numune.tetkik_numune_kodu"],
            name=op.f("fk_numune_hareket_tetkik_numune_kodu"),
        ),
        sa.PrimaryKeyConstraint("numune_hareket_kodu", name=op.f("pk_numune_hareket")),
        comment="Numune hareketleri; silinmez, degistirilmez",
    )
    op.create_index("ix_numune_hareket_numune", "numune_hareket", ["tetkik_numune_kodu", "islem_zamani"], unique=False)
    op.create_table(
        "tetkik_sonuc",
        sa.Column(
            "tetkik_sonuc_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("istem_tetkik_kodu", sa.BigInteger(), nullable=False, comment="Istenen tetkik"),
        sa.Column("kosu_no", sa.Integer(), nullable=False, comment="Kacinci kosu (1, 2, ...)"),
        sa.Column(
            "tetkik_numune_kodu",
            sa.BigInteger(),
            nullable=True,
            comment="Okunan tup; bos = yalniz istem numarasi okundu",
        ),
        sa.Column("cihaz_kodu", sa.BigInteger(), nullable=True, comment="Cihaz; bos = elle girildi"),
        sa.Column("ham_mesaj_kodu", sa.BigInteger(), nullable=True, comment="Ham mesaj"),
        sa.Column("kayit_sirasi", sa.Integer(), nullable=True, comment="Mesajdaki kayit sirasi"),
        sa.Column("olcum_anahtari", sa.LargeBinary(), nullable=False, comment="Ayni olcumun iki kez yazilmasini onler"),
        sa.Column(
            "cihaz_test_kodu", sa.String(length=60), server_default="", nullable=False, comment="Cihazin test kodu"
        ),
        sa.Column("cihaz_tetkik_sonucu", sa.String(), nullable=False, comment="Cihazin yazdigi metin, aynen"),
        sa.Column("cihaz_birimi", sa.String(), server_default="", nullable=False, comment="Cihazin birimi, aynen"),
        sa.Column("tetkik_sonucu", sa.String(), nullable=False, comment="Raporlanan metin"),
        sa.Column("sayisal_sonuc", sa.Numeric(), nullable=True, comment="Metin duz sayi ise degeri"),
        sa.Column("tetkik_sonucu_birimi", sa.String(), server_default="", nullable=False, comment="Raporlanan birim"),
        sa.Column(
            "tetkik_sonucu_durumu",
            sa.String(length=4),
            server_default="",
            nullable=False,
            comment="D dusuk, Y yuksek, P! panik, A anormal metin, bos normal",
        ),
        sa.Column(
            "tetkik_sonucu_referans_degeri",
            sa.String(),
            server_default="",
            nullable=False,
            comment="O gun gecerli referans araligi, basildigi gibi",
        ),
        sa.Column("tetkik_referans_aralik_kodu", sa.BigInteger(), nullable=True, comment="Kullanilan referans araligi"),
        sa.Column(
            "cihaz_bayraklari",
            postgresql.ARRAY(sa.String()),
            server_default="{}",
            nullable=False,
            comment="Cihazin bayraklari",
        ),
        sa.Column(
            "tetkik_sonuc_aciklama",
            postgresql.ARRAY(sa.String()),
            server_default="{}",
            nullable=False,
            comment="Cihazin aciklamalari",
        ),
        sa.Column(
            "kararlar",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
            comment="Otomatik kararlar: kural, surum, gordugu degerler, gerekce",
        ),
        sa.Column("calisma_bitis_zamani", sa.DateTime(timezone=True), nullable=True, comment="Cihazin olcum zamani"),
        sa.Column("sonuc_zamani", sa.DateTime(timezone=True), nullable=False, comment="Sonucun alindigi zaman"),
        sa.Column("raf", sa.String(length=20), nullable=True, comment="Raf"),
        sa.Column("pozisyon", sa.String(length=20), nullable=True, comment="Raftaki yer"),
        sa.Column("tekrar_no", sa.Integer(), nullable=True, comment="Cihazin tekrar (replikat) numarasi"),
        sa.Column("operator", sa.String(), nullable=True, comment="Cihazin bildirdigi operator"),
        sa.Column("reaktif_lot", sa.String(), nullable=True, comment="Reaktif lotu"),
        sa.Column(
            "ekleyen_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Elle giren ya da elle baglayan kullanici"
        ),
        sa.Column("gerekce", sa.String(), nullable=True, comment="Elle giris, elle baglama ya da duzeltme gerekcesi"),
        sa.PrimaryKeyConstraint("tetkik_sonuc_kodu", name=op.f("pk_tetkik_sonuc")),
        sa.UniqueConstraint("olcum_anahtari", name=op.f("uq_tetkik_sonuc_olcum_anahtari")),
        comment="Tetkik sonuclari: her kosu bir satir; silinmez, degistirilmez",
    )
    op.create_index(
        "ix_tetkik_sonuc_ham_mesaj", "tetkik_sonuc", ["ham_mesaj_kodu"], unique=False, postgresql_using="brin"
    )
    op.create_index("ix_tetkik_sonuc_istem_tetkik", "tetkik_sonuc", ["istem_tetkik_kodu"], unique=False)
    op.create_table(
        "onay",
        sa.Column("onay_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"),
        sa.Column("istem_tetkik_kodu", sa.BigInteger(), nullable=False, comment="Istenen tetkik"),
        sa.Column("tetkik_sonuc_kodu", sa.BigInteger(), nullable=False, comment="Sonuc kosusu"),
        sa.Column("onay_turu", sa.String(), nullable=False, comment="Kararin turu"),
        sa.Column("surum", sa.Integer(), nullable=False, comment="Tetkikin bu kararla aldigi surum"),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=False, comment="Karari veren"),
        sa.Column("onay_zamani", sa.DateTime(timezone=True), nullable=False, comment="Karar zamani"),
        sa.Column("gerekce", sa.String(), server_default="", nullable=False, comment="Gerekce"),
        sa.ForeignKeyConstraint(
            ["istem_tetkik_kodu"], ["istem_tetkik.istem_tetkik_kodu"], name=op.f("fk_onay_istem_tetkik_kodu")
        ),
        sa.ForeignKeyConstraint(["kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_onay_kullanici_kodu")),
        sa.ForeignKeyConstraint(
            ["tetkik_sonuc_kodu"], ["tetkik_sonuc.tetkik_sonuc_kodu"], name=op.f("fk_onay_tetkik_sonuc_kodu")
        ),
        sa.PrimaryKeyConstraint("onay_kodu", name=op.f("pk_onay")),
        sa.UniqueConstraint("istem_tetkik_kodu", "surum", name=op.f("uq_onay_istem_tetkik_kodu_surum")),
        comment="Teknik ve klinik onaylar, tekrarlar, geri almalar; silinmez, degistirilmez",
    )
    op.create_index("ix_onay_sonuc", "onay", ["tetkik_sonuc_kodu"], unique=False)
    op.create_table(
        "saklama_kurali",
        sa.Column(
            "saklama_kurali_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("tur", sa.String(length=40), nullable=False, comment="Verinin turu"),
        sa.Column("saklama_gunu", sa.Integer(), nullable=False, comment="Saklama suresi, gun"),
        sa.Column("islem", sa.String(length=20), nullable=False, comment="sil, icerik_sil, anonimlestir"),
        sa.Column("dayanak", sa.String(), nullable=False, comment="Hukuki dayanak ya da karar"),
        sa.Column("gecerlilik_baslangici", sa.Date(), nullable=False, comment="Gecerlilik baslangici"),
        sa.Column("gecerlilik_sonu", sa.Date(), nullable=True, comment="Gecerlilik sonu; bos = suresiz"),
        sa.Column(
            "ayrinti",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
            comment="Ek kosullar",
        ),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.CheckConstraint("islem in ('sil', 'icerik_sil', 'anonimlestir')", name=op.f("ck_saklama_kurali_islem")),
        sa.CheckConstraint("saklama_gunu > 0", name=op.f("ck_saklama_kurali_gun")),
        sa.PrimaryKeyConstraint("saklama_kurali_kodu", name=op.f("pk_saklama_kurali")),
        comment="Saklama sureleri: hangi veri ne kadar saklanir, sonra ne yapilir",
    )
    op.create_index("uq_saklama_kurali_tur", "saklama_kurali", ["tur", "gecerlilik_baslangici"], unique=True)
    op.create_table(
        "acil_erisim",
        sa.Column(
            "acil_erisim_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("hasta_kodu", sa.BigInteger(), nullable=False, comment="Hasta"),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=False, comment="Acan"),
        sa.Column("gerekce", sa.String(), nullable=False, comment="Acanin yazdigi gerekce"),
        sa.Column("ip_adresi", sa.String(), server_default="", nullable=False, comment="Nereden"),
        sa.Column("baslama_zamani", sa.DateTime(timezone=True), nullable=False, comment="Baslama zamani"),
        sa.Column("bitis_zamani", sa.DateTime(timezone=True), nullable=False, comment="Bitis zamani"),
        sa.Column("degerlendiren_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Degerlendiren sorumlu"),
        sa.Column("degerlendirme_zamani", sa.DateTime(timezone=True), nullable=True, comment="Degerlendirme zamani"),
        sa.Column("degerlendirme", sa.String(length=12), nullable=True, comment="uygun, uygun_degil"),
        sa.Column("degerlendirme_notu", sa.String(), nullable=True, comment="Degerlendirenin notu"),
        sa.CheckConstraint("btrim(gerekce) <> ''", name=op.f("ck_acil_erisim_gerekcesiz")),
        sa.CheckConstraint("bitis_zamani > baslama_zamani", name=op.f("ck_acil_erisim_sure")),
        sa.CheckConstraint("degerlendiren_kullanici_kodu <> kullanici_kodu", name=op.f("ck_acil_erisim_kendisi")),
        sa.ForeignKeyConstraint(
            ["degerlendiren_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_acil_erisim_degerlendiren_kullanici_kodu"),
        ),
        sa.ForeignKeyConstraint(["hasta_kodu"], ["hasta.hasta_kodu"], name=op.f("fk_acil_erisim_hasta_kodu")),
        sa.ForeignKeyConstraint(
            ["kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_acil_erisim_kullanici_kodu")
        ),
        sa.PrimaryKeyConstraint("acil_erisim_kodu", name=op.f("pk_acil_erisim")),
        comment="Acil erisimler: yetkisi olmadan, gerekce ile, sureli acilan hasta kayitlari",
    )
    op.create_index(
        "ix_acil_erisim_bekleyen",
        "acil_erisim",
        ["acil_erisim_kodu"],
        unique=False,
        postgresql_where=sa.text("degerlendirme_zamani is null"),
    )
    op.create_index(
        "ix_acil_erisim_kullanici", "acil_erisim", ["kullanici_kodu", "hasta_kodu", "bitis_zamani"], unique=False
    )
    op.create_table(
        "gizli_hasta",
        sa.Column(
            "gizli_hasta_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("hasta_kodu", sa.BigInteger(), nullable=False, comment="Hasta"),
        sa.Column("tur", sa.String(length=20), nullable=False, comment="calisan, taninmis, izole, adli, diger"),
        sa.Column("neden", sa.String(), nullable=False, comment="Neden gizli"),
        sa.Column("ekleyen_kullanici_kodu", sa.BigInteger(), nullable=False, comment="Gizleyen kullanici"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column(
            "kaldirma_zamani", sa.DateTime(timezone=True), nullable=True, comment="Gizliligin kaldirildigi zaman"
        ),
        sa.Column("kaldiran_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Gizliligi kaldiran"),
        sa.Column("kaldirma_nedeni", sa.String(), nullable=True, comment="Neden kaldirildi"),
        sa.CheckConstraint("btrim(neden) <> ''", name=op.f("ck_gizli_hasta_nedensiz")),
        sa.ForeignKeyConstraint(
            ["ekleyen_kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_gizli_hasta_ekleyen_kullanici_kodu")
        ),
        sa.ForeignKeyConstraint(["hasta_kodu"], ["hasta.hasta_kodu"], name=op.f("fk_gizli_hasta_hasta_kodu")),
        sa.ForeignKeyConstraint(
            ["kaldiran_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_gizli_hasta_kaldiran_kullanici_kodu"),
        ),
        sa.PrimaryKeyConstraint("gizli_hasta_kodu", name=op.f("pk_gizli_hasta")),
        comment="Numara ile izlenen (gizli) hastalar",
    )
    op.create_index(
        "uq_gizli_hasta_acik",
        "gizli_hasta",
        ["hasta_kodu"],
        unique=True,
        postgresql_where=sa.text("kaldirma_zamani is null"),
    )
    op.create_table(
        "is_adimi",
        sa.Column(
            "is_adimi_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column(
            "adim_numarasi", sa.String(length=50), nullable=False, comment="AWOS numarasi (OBR-2); bir daha kullanilmaz"
        ),
        sa.Column(
            "istem_tetkik_kodu",
            sa.BigInteger(),
            nullable=True,
            comment="Istenen tetkik; cihazin kendi refleksinde bos olabilir",
        ),
        sa.Column("cihaz_kodu", sa.BigInteger(), nullable=False, comment="Cihaz"),
        sa.Column("ana_adim_kodu", sa.BigInteger(), nullable=True, comment="Refleksin cikti adim"),
        sa.Column(
            "kap", sa.String(), server_default="", nullable=False, comment="Kabin numarasi, cihaza soylendigi gibi"
        ),
        sa.Column("cihaz_test_kodu", sa.String(length=60), nullable=False, comment="Cihazin tetkik kodu"),
        sa.Column(
            "tekrar_sirasi",
            sa.Integer(),
            server_default="1",
            nullable=False,
            comment="Istenen kacinci tekrar (replikat)",
        ),
        sa.Column("oncelik", sa.String(length=1), server_default="R", nullable=False, comment="S, A, R"),
        sa.Column("seyreltme", sa.String(length=20), server_default="", nullable=False, comment="Istenen seyreltme"),
        sa.Column("durum", sa.String(length=20), nullable=False, comment="Adimin durumu"),
        sa.Column(
            "durum_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Durumun degistigi zaman",
        ),
        sa.Column(
            "iptal_yaniti",
            sa.String(length=2),
            server_default="",
            nullable=False,
            comment="CR iptal edildi, UC iptal edilemedi",
        ),
        sa.Column(
            "yerine",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="Iptalden sonra yerine planlanacak adim (degisiklik)",
        ),
        sa.Column("aciklama", sa.String(), server_default="", nullable=False, comment="Cihazin ya da programin sozu"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.CheckConstraint(
            "durum in ('planlandi', 'gonderildi', 'kabul', 'reddedildi', 'belirsiz', 'calisiyor', 'tamam', "
            "'basarisiz', 'iptal_bekliyor', 'iptal', 'vazgecildi')",
            name=op.f("ck_is_adimi_durum"),
        ),
        sa.ForeignKeyConstraint(["ana_adim_kodu"], ["is_adimi.is_adimi_kodu"], name=op.f("fk_is_adimi_ana_adim_kodu")),
        sa.ForeignKeyConstraint(["cihaz_kodu"], ["cihaz.cihaz_kodu"], name=op.f("fk_is_adimi_cihaz_kodu")),
        sa.ForeignKeyConstraint(
            ["istem_tetkik_kodu"], ["istem_tetkik.istem_tetkik_kodu"], name=op.f("fk_is_adimi_istem_tetkik_kodu")
        ),
        sa.PrimaryKeyConstraint("is_adimi_kodu", name=op.f("pk_is_adimi")),
        sa.UniqueConstraint("adim_numarasi", name=op.f("uq_is_adimi_adim_numarasi")),
        comment="Cihaza verilen is adimlari (IHE LAW AWOS)",
    )
    op.create_index("ix_is_adimi_cihaz", "is_adimi", ["cihaz_kodu", "durum"], unique=False)
    op.create_index("ix_is_adimi_istem_tetkik", "is_adimi", ["istem_tetkik_kodu"], unique=False)
    op.create_index(
        "uq_is_adimi_acik",
        "is_adimi",
        ["istem_tetkik_kodu", "cihaz_kodu", "tekrar_sirasi"],
        unique=True,
        postgresql_where=sa.text(
            "durum in ('planlandi', 'gonderildi', 'kabul', 'belirsiz', 'calisiyor', 'iptal_bekliyor')"
        ),
    )
    op.create_table(
        "is_iletisi",
        sa.Column(
            "is_iletisi_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("kontrol_numarasi", sa.String(length=50), nullable=False, comment="MSH-10"),
        sa.Column("cihaz_kodu", sa.BigInteger(), nullable=False, comment="Cihaz"),
        sa.Column("hat", sa.String(length=60), nullable=False, comment="Gidecegi hat"),
        sa.Column("tur", sa.String(length=2), nullable=False, comment="NW yeni, CA iptal, DC is yok"),
        sa.Column("icerik", sa.LargeBinary(), nullable=False, comment="Gonderilen baytlar"),
        sa.Column(
            "adimlar",
            postgresql.ARRAY(sa.BigInteger()),
            server_default="{}",
            nullable=False,
            comment="Icindeki is adimlari, sirayla",
        ),
        sa.Column("durum", sa.String(length=12), nullable=False, comment="bekliyor, gonderildi, yanitlandi ..."),
        sa.Column("deneme", sa.Integer(), server_default="0", nullable=False, comment="Kac kez gonderildi"),
        sa.Column("son_gonderim_zamani", sa.DateTime(timezone=True), nullable=True, comment="Son gonderim"),
        sa.Column(
            "gecerlilik_zamani",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Bundan sonra gonderilmez; bos = suresiz",
        ),
        sa.Column("yanit_kodu", sa.String(length=2), server_default="", nullable=False, comment="MSA-1"),
        sa.Column("yanit_icerik", sa.LargeBinary(), nullable=True, comment="Yanitin baytlari"),
        sa.Column("yanit_aciklama", sa.String(), server_default="", nullable=False, comment="Cihazin aciklamasi"),
        sa.Column(
            "tekrar_istendi",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Bir kisi yeniden gonderilmesini istedi",
        ),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.CheckConstraint(
            "durum in ('bekliyor', 'gonderildi', 'yanitlandi', 'reddedildi', 'vazgecildi')",
            name=op.f("ck_is_iletisi_durum"),
        ),
        sa.ForeignKeyConstraint(["cihaz_kodu"], ["cihaz.cihaz_kodu"], name=op.f("fk_is_iletisi_cihaz_kodu")),
        sa.PrimaryKeyConstraint("is_iletisi_kodu", name=op.f("pk_is_iletisi")),
        sa.UniqueConstraint("kontrol_numarasi", name=op.f("uq_is_iletisi_kontrol_numarasi")),
        comment="Cihaza gonderilen is iletileri (IHE LAW LAB-28)",
    )
    op.create_index(
        "ix_is_iletisi_acik",
        "is_iletisi",
        ["hat", "is_iletisi_kodu"],
        unique=False,
        postgresql_where=sa.text("durum in ('bekliyor', 'gonderildi')"),
    )
    op.create_table(
        "sonuc_ayrintisi",
        sa.Column(
            "sonuc_ayrintisi_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("ham_mesaj_kodu", sa.BigInteger(), nullable=False, comment="Ham mesaj"),
        sa.Column("kayit_sirasi", sa.Integer(), nullable=False, comment="Mesajdaki yeri"),
        sa.Column("is_adimi_kodu", sa.BigInteger(), nullable=True, comment="Is adimi"),
        sa.Column("cihaz_durumu", sa.String(length=2), server_default="", nullable=False, comment="OBX-11"),
        sa.Column("cihaz_modeli", sa.String(), server_default="", nullable=False, comment="Olcen cihazin modeli"),
        sa.Column(
            "seri_numarasi", sa.String(), server_default="", nullable=False, comment="Olcen cihazin seri numarasi"
        ),
        sa.Column("modul", sa.String(), server_default="", nullable=False, comment="Olcen modul"),
        sa.Column("kosu", sa.String(), server_default="", nullable=False, comment="OBX-4 gonderildigi gibi"),
        sa.Column("kosu_turu", sa.String(length=2), server_default="", nullable=False, comment="O, R, D, F (HL70389)"),
        sa.Column("seyreltme", sa.String(), server_default="", nullable=False, comment="Deger icinde olan seyreltme"),
        sa.ForeignKeyConstraint(
            ["is_adimi_kodu"], ["is_adimi.is_adimi_kodu"], name=op.f("fk_sonuc_ayrintisi_is_adimi_kodu")
        ),
        sa.PrimaryKeyConstraint("sonuc_ayrintisi_kodu", name=op.f("pk_sonuc_ayrintisi")),
        comment="Sonucun cihaz ayrintilari (kosu turu, seyreltme, seri numarasi)",
    )
    op.create_index("ix_sonuc_ayrintisi_mesaj", "sonuc_ayrintisi", ["ham_mesaj_kodu", "kayit_sirasi"], unique=False)
    op.create_table(
        "sonuc_reaktifi",
        sa.Column(
            "sonuc_reaktifi_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("ham_mesaj_kodu", sa.BigInteger(), nullable=False, comment="Ham mesaj"),
        sa.Column("kayit_sirasi", sa.Integer(), nullable=False, comment="Mesajdaki yeri"),
        sa.Column("madde", sa.String(), server_default="", nullable=False, comment="INV-1"),
        sa.Column("tur", sa.String(), server_default="", nullable=False, comment="INV-3: SR, MR, RC, CO, DI ..."),
        sa.Column("kap", sa.String(), server_default="", nullable=False, comment="Sise numarasi"),
        sa.Column("son_kullanma", sa.String(), server_default="", nullable=False, comment="INV-12, gonderildigi gibi"),
        sa.Column("ilk_kullanma", sa.String(), server_default="", nullable=False, comment="INV-13, gonderildigi gibi"),
        sa.Column("lot", sa.String(), server_default="", nullable=False, comment="INV-16"),
        sa.PrimaryKeyConstraint("sonuc_reaktifi_kodu", name=op.f("pk_sonuc_reaktifi")),
        comment="Sonuca katilan reaktif, kalibrator ve kalibrasyonlar",
    )
    op.create_index("ix_sonuc_reaktifi_lot", "sonuc_reaktifi", ["lot"], unique=False)
    op.create_index("ix_sonuc_reaktifi_mesaj", "sonuc_reaktifi", ["ham_mesaj_kodu", "kayit_sirasi"], unique=False)

    op.create_table(
        "yetki_grubu",
        sa.Column(
            "yetki_grubu_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("yetki_grubu_kisa_kodu", sa.String(length=30), nullable=False, comment="Kisa kod"),
        sa.Column("yetki_grubu_adi", sa.String(), nullable=False, comment="Ekranda gorunen ad"),
        sa.Column("aciklama", sa.String(), server_default="", nullable=False, comment="Ne icin"),
        sa.Column(
            "aktiflik_bilgisi",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Kayit kullanimda mi",
        ),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.PrimaryKeyConstraint("yetki_grubu_kodu", name=op.f("pk_yetki_grubu")),
        sa.UniqueConstraint("yetki_grubu_kisa_kodu", name=op.f("uq_yetki_grubu_yetki_grubu_kisa_kodu")),
        comment="Yetki gruplari",
    )
    op.create_table(
        "personel_birim",
        sa.Column(
            "personel_birim_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("personel_kodu", sa.BigInteger(), nullable=False, comment="Personel"),
        sa.Column("birim_kodu", sa.BigInteger(), nullable=False, comment="Birim"),
        sa.Column("baslangic_tarihi", sa.Date(), nullable=True, comment="Ilk gecerli gun; bos = hemen"),
        sa.Column("bitis_tarihi", sa.Date(), nullable=True, comment="Son gecerli gun; bos = suresiz"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.CheckConstraint("bitis_tarihi >= baslangic_tarihi", name=op.f("ck_personel_birim_sure")),
        sa.ForeignKeyConstraint(["birim_kodu"], ["birim.birim_kodu"], name=op.f("fk_personel_birim_birim_kodu")),
        sa.ForeignKeyConstraint(
            ["personel_kodu"], ["personel.personel_kodu"], name=op.f("fk_personel_birim_personel_kodu")
        ),
        sa.PrimaryKeyConstraint("personel_birim_kodu", name=op.f("pk_personel_birim")),
        comment="Personelin gorevli oldugu ek birimler",
    )
    op.create_index("ix_personel_birim_birim", "personel_birim", ["birim_kodu"], unique=False)
    op.create_index("ix_personel_birim_personel", "personel_birim", ["personel_kodu"], unique=False)
    op.create_table(
        "grup_uyeligi",
        sa.Column(
            "grup_uyeligi_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("yetki_grubu_kodu", sa.BigInteger(), nullable=False, comment="Uye olunan grup"),
        sa.Column("uye_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Uye kullanici"),
        sa.Column("uye_grup_kodu", sa.BigInteger(), nullable=True, comment="Uye grup"),
        sa.Column(
            "calisma_gruplari",
            postgresql.ARRAY(sa.String()),
            server_default="{}",
            nullable=False,
            comment="Yalniz bu calisma gruplari; bos = hepsi",
        ),
        sa.Column("baslangic_tarihi", sa.Date(), nullable=True, comment="Ilk gecerli gun; bos = hemen"),
        sa.Column("bitis_tarihi", sa.Date(), nullable=True, comment="Son gecerli gun; bos = suresiz"),
        sa.Column("veren_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Uye yapan; bos = program"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column("kaldirma_zamani", sa.DateTime(timezone=True), nullable=True, comment="Uyeligin kaldirildigi zaman"),
        sa.Column("kaldiran_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Uyeligi kaldiran"),
        sa.CheckConstraint("num_nonnulls(uye_kullanici_kodu, uye_grup_kodu) = 1", name=op.f("ck_grup_uyeligi_uye")),
        sa.CheckConstraint("uye_grup_kodu <> yetki_grubu_kodu", name=op.f("ck_grup_uyeligi_kendisi_degil")),
        sa.ForeignKeyConstraint(
            ["kaldiran_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_grup_uyeligi_kaldiran_kullanici_kodu"),
        ),
        sa.ForeignKeyConstraint(
            ["uye_grup_kodu"], ["yetki_grubu.yetki_grubu_kodu"], name=op.f("fk_grup_uyeligi_uye_grup_kodu")
        ),
        sa.ForeignKeyConstraint(
            ["uye_kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_grup_uyeligi_uye_kullanici_kodu")
        ),
        sa.ForeignKeyConstraint(
            ["veren_kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_grup_uyeligi_veren_kullanici_kodu")
        ),
        sa.ForeignKeyConstraint(
            ["yetki_grubu_kodu"], ["yetki_grubu.yetki_grubu_kodu"], name=op.f("fk_grup_uyeligi_yetki_grubu_kodu")
        ),
        sa.PrimaryKeyConstraint("grup_uyeligi_kodu", name=op.f("pk_grup_uyeligi")),
        comment="Yetki gruplarinin uyeleri: kullanicilar ve gruplar",
    )
    op.create_index("ix_grup_uyeligi_kullanici", "grup_uyeligi", ["uye_kullanici_kodu"], unique=False)
    op.create_index(
        "uq_grup_uyeligi_grup",
        "grup_uyeligi",
        ["yetki_grubu_kodu", "uye_grup_kodu"],
        unique=True,
        postgresql_where=sa.text("kaldirma_zamani is null"),
    )
    op.create_index(
        "uq_grup_uyeligi_kullanici",
        "grup_uyeligi",
        ["yetki_grubu_kodu", "uye_kullanici_kodu"],
        unique=True,
        postgresql_where=sa.text("kaldirma_zamani is null"),
    )
    op.create_table(
        "yetki_kaydi",
        sa.Column(
            "yetki_kaydi_kodu", sa.BigInteger(), sa.Identity(always=False), nullable=False, comment="Kaydin tekil kodu"
        ),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=True, comment="Kullanici"),
        sa.Column("yetki_grubu_kodu", sa.BigInteger(), nullable=True, comment="Grup"),
        sa.Column("yetki", sa.String(length=40), nullable=False, comment="Yetkinin kodu: alan.eylem"),
        sa.Column(
            "kapsam_turu", sa.String(), nullable=False, comment="tum, laboratuvar, calisma_grubu, klinik, kurum, kendi"
        ),
        sa.Column(
            "kapsam_degeri",
            sa.String(length=30),
            server_default="",
            nullable=False,
            comment="Kapsamin kodu; klinikte bos = kendi birimleri",
        ),
        sa.Column("yasak", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="Izin degil yasak"),
        sa.Column("baslangic_tarihi", sa.Date(), nullable=True, comment="Ilk gecerli gun; bos = hemen"),
        sa.Column("bitis_tarihi", sa.Date(), nullable=True, comment="Son gecerli gun; bos = suresiz"),
        sa.Column("veren_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Veren; bos = program"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column("kaldirma_zamani", sa.DateTime(timezone=True), nullable=True, comment="Kaldirildigi zaman"),
        sa.Column("kaldiran_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Kaldiran"),
        sa.CheckConstraint("bitis_tarihi >= baslangic_tarihi", name=op.f("ck_yetki_kaydi_sure")),
        sa.CheckConstraint("num_nonnulls(kullanici_kodu, yetki_grubu_kodu) = 1", name=op.f("ck_yetki_kaydi_kime")),
        sa.ForeignKeyConstraint(
            ["kaldiran_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_yetki_kaydi_kaldiran_kullanici_kodu"),
        ),
        sa.ForeignKeyConstraint(
            ["kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_yetki_kaydi_kullanici_kodu")
        ),
        sa.ForeignKeyConstraint(
            ["veren_kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_yetki_kaydi_veren_kullanici_kodu")
        ),
        sa.ForeignKeyConstraint(
            ["yetki_grubu_kodu"], ["yetki_grubu.yetki_grubu_kodu"], name=op.f("fk_yetki_kaydi_yetki_grubu_kodu")
        ),
        sa.PrimaryKeyConstraint("yetki_kaydi_kodu", name=op.f("pk_yetki_kaydi")),
        comment="Yetki kayitlari: kime, hangi yetki, hangi kapsamda; izin ya da yasak",
    )
    op.create_index("ix_yetki_kaydi_grup", "yetki_kaydi", ["yetki_grubu_kodu"], unique=False)
    op.create_index("ix_yetki_kaydi_kullanici", "yetki_kaydi", ["kullanici_kodu"], unique=False)
    op.add_column(
        "calisma_grubu",
        sa.Column("laboratuvar_birim_kodu", sa.BigInteger(), nullable=True, comment="Bagli oldugu laboratuvar (birim)"),
    )
    op.create_foreign_key(
        op.f("fk_calisma_grubu_laboratuvar_birim_kodu"),
        "calisma_grubu",
        "birim",
        ["laboratuvar_birim_kodu"],
        ["birim_kodu"],
    )
    op.create_table(
        "cevrimici_kural",
        sa.Column(
            "cevrimici_kural_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("tetkik_kodu", sa.BigInteger(), nullable=True, comment="Tetkik"),
        sa.Column(
            "calisma_grubu",
            sa.String(length=20),
            nullable=True,
            comment="Ya da calisma grubunun butun tetkikleri",
        ),
        sa.Column("kosul", sa.String(), nullable=False, comment="her, pozitif, isaretli, ustunde, altinda"),
        sa.Column("sinir", sa.Numeric(), nullable=True, comment="ustunde, altinda: sinir, tetkikin biriminde"),
        sa.Column("gorunum", sa.String(), nullable=False, comment="cumle; yok = tetkikin adi da gorunmez"),
        sa.Column(
            "cumle",
            sa.String(),
            server_default="",
            nullable=False,
            comment="Sonucun yerinde duran cumle; bos = genel",
        ),
        sa.Column(
            "farki_kabul",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Gizlenenin gizlenmesinden anlasilacagi kabul edildi",
        ),
        sa.Column("neden", sa.String(), nullable=False, comment="Kuralin nedeni, dayanagi"),
        sa.Column("ekleyen_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Koyan; bos = program"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column(
            "kaldirma_zamani",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Kuralin kalktigi zaman; bos = gecerli",
        ),
        sa.Column("kaldiran_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Kaldiran"),
        sa.CheckConstraint(
            "(sinir is not null) = (kosul in ('ustunde', 'altinda'))", name=op.f("ck_cevrimici_kural_sinir")
        ),
        sa.CheckConstraint("(tetkik_kodu is null) <> (calisma_grubu is null)", name=op.f("ck_cevrimici_kural_hedef")),
        sa.CheckConstraint("btrim(neden) <> ''", name=op.f("ck_cevrimici_kural_nedensiz")),
        sa.CheckConstraint(
            "kosul = 'her' or (farki_kabul and gorunum = 'cumle')", name=op.f("ck_cevrimici_kural_fark")
        ),
        sa.ForeignKeyConstraint(
            ["calisma_grubu"], ["calisma_grubu.calisma_grubu"], name=op.f("fk_cevrimici_kural_calisma_grubu")
        ),
        sa.ForeignKeyConstraint(
            ["ekleyen_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_cevrimici_kural_ekleyen_kullanici_kodu"),
        ),
        sa.ForeignKeyConstraint(
            ["kaldiran_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_cevrimici_kural_kaldiran_kullanici_kodu"),
        ),
        sa.ForeignKeyConstraint(["tetkik_kodu"], ["tetkik.tetkik_kodu"], name=op.f("fk_cevrimici_kural_tetkik_kodu")),
        sa.PrimaryKeyConstraint("cevrimici_kural_kodu", name=op.f("pk_cevrimici_kural")),
        comment="Hastaya internetten gosterilmeyen sonuclarin kurallari",
    )
    op.create_index(
        "ix_cevrimici_kural_gecerli",
        "cevrimici_kural",
        ["cevrimici_kural_kodu"],
        unique=False,
        postgresql_where=sa.text("kaldirma_zamani is null"),
    )
    op.create_table(
        "cevrimici_ret",
        sa.Column(
            "cevrimici_ret_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("hasta_kodu", sa.BigInteger(), nullable=False, comment="Hasta"),
        sa.Column("aciklama", sa.String(), server_default="", nullable=False, comment="Basvurunun nasil alindigi"),
        sa.Column("ekleyen_kullanici_kodu", sa.BigInteger(), nullable=False, comment="Kaydeden"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column("kaldirma_zamani", sa.DateTime(timezone=True), nullable=True, comment="Istegin geri alindigi zaman"),
        sa.Column("kaldiran_kullanici_kodu", sa.BigInteger(), nullable=True, comment="Geri alindigini kaydeden"),
        sa.ForeignKeyConstraint(
            ["ekleyen_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_cevrimici_ret_ekleyen_kullanici_kodu"),
        ),
        sa.ForeignKeyConstraint(["hasta_kodu"], ["hasta.hasta_kodu"], name=op.f("fk_cevrimici_ret_hasta_kodu")),
        sa.ForeignKeyConstraint(
            ["kaldiran_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_cevrimici_ret_kaldiran_kullanici_kodu"),
        ),
        sa.PrimaryKeyConstraint("cevrimici_ret_kodu", name=op.f("pk_cevrimici_ret")),
        comment="Sonucunun internetten gosterilmesini istemeyen hastalar",
    )
    op.create_index(
        "uq_cevrimici_ret_acik",
        "cevrimici_ret",
        ["hasta_kodu"],
        unique=True,
        postgresql_where=sa.text("kaldirma_zamani is null"),
    )
    op.create_table(
        "hasta_erisim_belgesi",
        sa.Column(
            "hasta_erisim_belgesi_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("tetkik_istem_kodu", sa.BigInteger(), nullable=False, comment="Istem"),
        sa.Column(
            "kod_ozeti",
            sa.LargeBinary(),
            nullable=False,
            comment="Belgedeki kodun anahtarli ozeti; kodun kendisi saklanmaz",
        ),
        sa.Column("veren_kullanici_kodu", sa.BigInteger(), nullable=False, comment="Veren"),
        sa.Column("verilme_zamani", sa.DateTime(timezone=True), nullable=False, comment="Verilme zamani"),
        sa.Column("neden", sa.String(), server_default="", nullable=False, comment="Yeniden verildiyse nedeni"),
        sa.Column("bitis_zamani", sa.DateTime(timezone=True), nullable=False, comment="Gecerlilik sonu"),
        sa.Column("acilis_sayisi", sa.Integer(), server_default="0", nullable=False, comment="Kac kez acildi"),
        sa.Column("son_acilis", sa.DateTime(timezone=True), nullable=True, comment="Son acilis zamani"),
        sa.Column(
            "kapanma_zamani",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Gecersiz oldugu zaman; bos = gecerli",
        ),
        sa.Column("kapanma_nedeni", sa.String(length=20), nullable=True, comment="yenilendi, istemiyor, gizlendi"),
        sa.ForeignKeyConstraint(
            ["tetkik_istem_kodu"],
            ["tetkik_istem.tetkik_istem_kodu"],
            name=op.f("fk_hasta_erisim_belgesi_tetkik_istem_kodu"),
        ),
        sa.ForeignKeyConstraint(
            ["veren_kullanici_kodu"],
            ["kullanici.kullanici_kodu"],
            name=op.f("fk_hasta_erisim_belgesi_veren_kullanici_kodu"),
        ),
        sa.PrimaryKeyConstraint("hasta_erisim_belgesi_kodu", name=op.f("pk_hasta_erisim_belgesi")),
        comment="Hastaya verilen internetten sonuc gorme belgeleri",
    )
    op.create_index(
        "uq_hasta_erisim_belgesi_acik",
        "hasta_erisim_belgesi",
        ["tetkik_istem_kodu"],
        unique=True,
        postgresql_where=sa.text("kapanma_zamani is null"),
    )
    op.create_table(
        "hasta_oturumu",
        sa.Column("anahtar_ozeti", sa.LargeBinary(), nullable=False, comment="Cerez anahtarinin SHA-256 ozeti"),
        sa.Column(
            "hasta_erisim_belgesi_kodu",
            sa.BigInteger(),
            nullable=False,
            comment="Belge; oturum yalniz onun istemini gosterir",
        ),
        sa.Column("form_anahtari", sa.String(), nullable=False, comment="Sayfadaki formlarin anahtari"),
        sa.Column(
            "tarayici_ozeti",
            sa.LargeBinary(),
            nullable=False,
            comment="Tarayicinin ozeti; baska tarayicidan kullanilamaz",
        ),
        sa.Column("ip_adresi", sa.String(), server_default="", nullable=False, comment="Acildigi adres"),
        sa.Column(
            "kayit_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Kaydin olusturulma zamani",
        ),
        sa.Column("son_kullanim", sa.DateTime(timezone=True), nullable=False, comment="Son istegin zamani"),
        sa.Column("bitis_zamani", sa.DateTime(timezone=True), nullable=False, comment="Gecerlilik sonu"),
        sa.ForeignKeyConstraint(
            ["hasta_erisim_belgesi_kodu"],
            ["hasta_erisim_belgesi.hasta_erisim_belgesi_kodu"],
            name=op.f("fk_hasta_oturumu_hasta_erisim_belgesi_kodu"),
        ),
        sa.PrimaryKeyConstraint("anahtar_ozeti", name=op.f("pk_hasta_oturumu")),
        comment="Hasta sayfasinin acik oturumlari",
    )
    op.create_index(
        op.f("ix_hasta_oturumu_hasta_erisim_belgesi_kodu"),
        "hasta_oturumu",
        ["hasta_erisim_belgesi_kodu"],
        unique=False,
    )
    op.create_table(
        "veritabani_gunlugu",
        sa.Column(
            "veritabani_gunlugu_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("zaman", sa.DateTime(timezone=True), nullable=False, comment="Deyimin zamani"),
        sa.Column("veritabani_kullanicisi", sa.String(), nullable=False, comment="Veritabani kullanicisi"),
        sa.Column("uygulama", sa.String(), nullable=False, comment="Baglanan programin kendine verdigi ad"),
        sa.Column("adres", sa.String(), nullable=False, comment="Nereden: ip adresi; yerel = ayni makine"),
        sa.Column("surec", sa.Integer(), nullable=False, comment="Sunucudaki surec numarasi"),
        sa.Column(
            "islem", sa.String(length=60), nullable=False, comment="insert, update, delete, truncate, alter table ..."
        ),
        sa.Column("nesne", sa.String(), nullable=False, comment="Tablo ya da baska nesne, semasi ile"),
        sa.Column("deyim", sa.String(), nullable=False, comment="Gonderilen SQL deyimi (ilk 4000 harfi)"),
        sa.Column(
            "zincire_alinma_zamani",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Denetim zincirine alindigi zaman",
        ),
        sa.PrimaryKeyConstraint("veritabani_gunlugu_kodu", name=op.f("pk_veritabani_gunlugu")),
        comment="Programin disindan yapilan degisiklikler: kim, nereden, hangi deyim ile",
    )
    op.create_index("ix_veritabani_gunlugu_zaman", "veritabani_gunlugu", ["zaman"], unique=False)
    op.create_index(
        "ix_veritabani_gunlugu_bekleyen",
        "veritabani_gunlugu",
        ["veritabani_gunlugu_kodu"],
        unique=False,
        postgresql_where=sa.text("zincire_alinma_zamani is null"),
    )

    op.create_table(
        "cihaz_yukleme",
        sa.Column(
            "cihaz_yukleme_kodu",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Kaydin tekil kodu",
        ),
        sa.Column("cihaz_kodu", sa.BigInteger(), nullable=False, comment="Cihaz"),
        sa.Column("konum", sa.String(length=20), nullable=False, comment="Cihazdaki konum, cihazin soyledigi gibi"),
        sa.Column("barkod", sa.String(length=22), nullable=False, comment="Konan tupun okunan metni"),
        sa.Column("kullanici_kodu", sa.BigInteger(), nullable=True, comment="Koyan"),
        sa.Column(
            "yukleme_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Konma zamani",
        ),
        sa.Column("kaldirma_zamani", sa.DateTime(timezone=True), nullable=True, comment="Alinma zamani; bos = duruyor"),
        sa.ForeignKeyConstraint(["cihaz_kodu"], ["cihaz.cihaz_kodu"], name=op.f("fk_cihaz_yukleme_cihaz_kodu")),
        sa.ForeignKeyConstraint(["barkod"], ["barkod_kayit.barkod"], name=op.f("fk_cihaz_yukleme_barkod")),
        sa.ForeignKeyConstraint(
            ["kullanici_kodu"], ["kullanici.kullanici_kodu"], name=op.f("fk_cihaz_yukleme_kullanici_kodu")
        ),
        sa.PrimaryKeyConstraint("cihaz_yukleme_kodu", name=op.f("pk_cihaz_yukleme")),
        comment="Barkod okumayan cihazlarin yukleme listesi: hangi konumda hangi tup durdu",
    )
    for name, column in (("konum", "konum"), ("barkod", "barkod")):
        op.create_index(
            f"uq_cihaz_yukleme_{name}",
            "cihaz_yukleme",
            ["cihaz_kodu", column],
            unique=True,
            postgresql_where=sa.text("kaldirma_zamani is null"),
        )
    op.create_index("ix_cihaz_yukleme_kaldirma", "cihaz_yukleme", ["cihaz_kodu", "kaldirma_zamani"], unique=False)

    op.create_table(
        "cihaz_yukleme_is",
        sa.Column("cihaz_yukleme_kodu", sa.BigInteger(), nullable=False, comment="Listedeki tup"),
        sa.Column("istem_tetkik_kodu", sa.BigInteger(), nullable=False, comment="Istenen tetkik"),
        sa.Column("cihaza_giden_test_kodu", sa.String(length=60), nullable=False, comment="Cihaza soylenen kod"),
        sa.Column("kosu_sayisi", sa.Integer(), nullable=False, comment="Gonderilirken tetkigin kac kosusu vardi"),
        sa.Column(
            "verilme_zamani",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Cihazin aldigi zaman",
        ),
        sa.Column(
            "geri_alma_zamani",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Geri alindigi zaman; bos = cihazda",
        ),
        sa.ForeignKeyConstraint(
            ["cihaz_yukleme_kodu"],
            ["cihaz_yukleme.cihaz_yukleme_kodu"],
            name=op.f("fk_cihaz_yukleme_is_cihaz_yukleme_kodu"),
        ),
        sa.ForeignKeyConstraint(
            ["istem_tetkik_kodu"],
            ["istem_tetkik.istem_tetkik_kodu"],
            name=op.f("fk_cihaz_yukleme_is_istem_tetkik_kodu"),
        ),
        sa.PrimaryKeyConstraint("cihaz_yukleme_kodu", "istem_tetkik_kodu", name=op.f("pk_cihaz_yukleme_is")),
        comment="Yukleme listesindeki tup icin cihaza sorulmadan gonderilen is",
    )
    op.create_index("ix_cihaz_yukleme_is_tetkik", "cihaz_yukleme_is", ["istem_tetkik_kodu"], unique=False)

    insert_first_groups(op.get_bind())
    for script in (GUARDS, WATCH):
        op.get_bind().exec_driver_sql(script.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    raise RuntimeError("the first schema has nothing before it")
