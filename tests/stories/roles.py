"""sql/10_roles.sql: two logins, one owner, passwords only by rotation."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import place
import rotation
import story
from cluster import identifier, literal
from secrets_manager import SecretsManager

SCRIPT = place.ROOT / "sql" / "10_roles.sql"
SECRET = "forecaster/database/prod"


# Kind: how one is made, how it is used. {name} is its name, {user} that of whoever uses it.
KINDS = {
    "table": ("CREATE TABLE {name} (x int)", "INSERT INTO {name} VALUES (1); SELECT x FROM {name}"),
    "sequence": ("CREATE SEQUENCE {name}", "SELECT nextval('{name}'); SELECT setval('{name}', 1)"),
    "function": ("CREATE FUNCTION {name}() RETURNS int LANGUAGE sql AS 'SELECT 1'", "SELECT {name}()"),
    "type": ("CREATE TYPE {name} AS ENUM ('a')", "CREATE TABLE {name}_of_{user} (x {name})"),
    "schema": ("CREATE SCHEMA {name}; CREATE TABLE {name}.inside (x int)",
               "INSERT INTO {name}.inside VALUES (1); CREATE TABLE {name}.{user} (x int)"),
}


class Roles(story.Story):
    """A database of its own for each story, with the script's roles in it."""

    def setUp(self):
        self.login, self.owner = self.server.unique("user"), self.server.unique("owner")
        self.clone = self.login + "_clone"
        self.database = self.server.create_database("roles")
        for name in (self.owner, self.login, self.clone):
            self.server.adopt_role(name)

    def apply(self):
        return self.server.psql(file=SCRIPT, database=self.database,
                                variables={"login": self.login, "owner": self.owner})

    def rotated(self, document=None, alternate=False):
        """A Secrets Manager whose secret is of the login, with a password both sides know."""
        manager = SecretsManager()
        password = "the-first-one"
        self.server.set_password(self.login, password)
        manager.create(SECRET, {"host": self.server.host, "port": str(self.server.port), "username": self.login,
                                "password": password, "database": self.database, **(document or {})})
        return rotation.Rotation(manager, SECRET, self.server, alternate)

    def as_current(self, manager, sql):
        document = manager.document(SECRET)
        return self.server.sql(sql, self.database, document["username"], document["password"])

    def owner_of(self, table):
        return self.server.sql(f"SELECT tableowner FROM pg_tables WHERE tablename = {literal(table)}",
                               self.database)[0][0]

    def test_running_it_twice_changes_nothing(self):
        defaults = "SELECT defaclrole, defaclobjtype, defaclacl FROM pg_default_acl ORDER BY 1, 2"
        catalog = ("SELECT rolname, rolcanlogin, rolsuper, rolcreaterole, rolpassword IS NULL FROM pg_authid "
                   f"WHERE rolname IN ({literal(self.login)}, {literal(self.clone)}, {literal(self.owner)}) ORDER BY 1;")
        self.apply()
        first, privileges = self.server.sql(catalog, self.database), self.server.sql(defaults, self.database)
        self.apply()
        self.assertEqual(self.server.sql(catalog, self.database), first)
        self.assertEqual(self.server.sql(defaults, self.database), privileges)
        self.assertEqual(len(privileges), 4 + 2 * 5)
        self.assertEqual(sorted(first), sorted([(self.owner, "f", "f", "f", "t"), (self.login, "t", "f", "f", "t"),
                                                (self.clone, "t", "f", "f", "t")]))

    def test_an_administrator_who_is_no_superuser_can_run_it(self):
        """As the master user of a managed PostgreSQL: it may make roles and owns the database."""
        master, password = self.server.create_login("master", options="CREATEROLE")
        self.server.sql(f"ALTER DATABASE {identifier(self.database)} OWNER TO {identifier(master)}")
        for _ in range(2):
            self.server.psql(file=SCRIPT, database=self.database, user=master, password=password,
                             variables={"login": self.login, "owner": self.owner})
        self.server.sql("CREATE TABLE masters (x int)", self.database, master, password)
        manager = self.rotated().manager
        self.as_current(manager, "INSERT INTO masters VALUES (1)")

    def test_a_login_has_no_password_until_one_is_set(self):
        self.apply()
        self.assertFalse(self.server.login_works(self.login, "guess", self.database))

    def test_what_either_login_creates_belongs_to_the_owner(self):
        self.apply()
        manager = self.rotated(alternate=True).manager
        seen = set()
        for number in range(3):
            seen.add(manager.document(SECRET)["username"])
            self.as_current(manager, f"CREATE TABLE made_{number} (x int)")
            self.assertEqual(self.owner_of(f"made_{number}"), self.owner)
            rotation.rotate_alternating_users(manager, SECRET, self.server)
        self.assertEqual(seen, {self.login, self.clone})

    def test_a_login_alters_and_drops_what_the_other_made(self):
        self.apply()
        manager = self.rotated(alternate=True).manager
        self.as_current(manager, "CREATE TABLE shared (x int); INSERT INTO shared VALUES (1)")
        rotation.rotate_alternating_users(manager, SECRET, self.server)
        self.assertEqual(manager.document(SECRET)["username"], self.clone)
        self.as_current(manager, "ALTER TABLE shared ADD y int; UPDATE shared SET y = 2")
        self.as_current(manager, "DROP TABLE shared")

    def make_each(self, manager, prefix, first=""):
        """One of each kind, by the login of the day; `first` goes before."""
        for kind, (create, _) in KINDS.items():
            self.as_current(manager, first + create.format(name=f"{prefix}_{kind}"))

    def use_each(self, manager, *prefixes, kinds=KINDS):
        user = manager.document(SECRET)["username"]
        for prefix in prefixes:
            for kind in kinds:
                with self.subTest(user=user, what=f"{prefix}_{kind}"):
                    self.as_current(manager, KINDS[kind][1].format(name=f"{prefix}_{kind}", user=identifier(user)[1:-1]))

    def test_what_was_made_before_and_after_rotations_is_usable_by_both_logins(self):
        self.apply()
        manager = self.rotated(alternate=True).manager
        for prefix in ("before", "between", "after"):
            self.make_each(manager, prefix)
            rotation.rotate_alternating_users(manager, SECRET, self.server)
        for user in (self.clone, self.login):
            self.assertEqual(manager.document(SECRET)["username"], user)
            self.use_each(manager, "before", "between", "after")
            rotation.rotate_alternating_users(manager, SECRET, self.server)

    def test_default_privileges_share_what_does_not_belong_to_the_owner(self):
        """What a login made under its own name, and an administrator in the schema; where PUBLIC may nothing by itself."""
        self.apply()
        for role in (identifier(self.login), identifier(self.clone), "CURRENT_USER"):
            for kind in ("FUNCTIONS", "TYPES"):
                self.server.sql(f"ALTER DEFAULT PRIVILEGES FOR ROLE {role} REVOKE ALL ON {kind} FROM PUBLIC", self.database)
        manager = self.rotated(alternate=True).manager
        of_administrators = [kind for kind in KINDS if kind != "schema"]
        for kind in of_administrators:
            self.server.sql(KINDS[kind][0].format(name=f"administrators_{kind}"), self.database)
        self.make_each(manager, "logins", "SET ROLE NONE;")
        self.assertEqual(self.owner_of("logins_table"), self.login)
        for user in (self.login, self.clone):
            self.assertEqual(manager.document(SECRET)["username"], user)
            self.use_each(manager, "logins")
            self.use_each(manager, "administrators", kinds=of_administrators)
            rotation.rotate_alternating_users(manager, SECRET, self.server)

    def test_single_user_rotation_works_with_a_secret_that_has_database_and_no_dbname(self):
        self.apply()
        manager = self.rotated().manager
        before = manager.document(SECRET)["password"]
        rotation.rotate_single_user(manager, SECRET, self.server)
        self.assertNotEqual(manager.document(SECRET)["password"], before)
        self.as_current(manager, "CREATE TABLE after_rotation (x int)")
        self.assertEqual(self.owner_of("after_rotation"), self.owner)

    def test_a_dbname_of_this_database_stops_the_single_user_rotation_as_the_script_says(self):
        self.apply()
        with self.assertRaisesRegex(RuntimeError, "permission denied"):
            self.rotated({"dbname": self.database}).run()

    def test_what_the_login_owned_before_goes_to_the_owner(self):
        self.server.sql(f"CREATE ROLE {identifier(self.login)} LOGIN PASSWORD 'p';"
                        f"GRANT CREATE ON SCHEMA public TO {identifier(self.login)}", self.database)
        self.server.sql("CREATE TABLE older (x int)", self.database, self.login, "p")
        self.assertEqual(self.owner_of("older"), self.login)
        self.apply()
        self.assertEqual(self.owner_of("older"), self.owner)

    def test_set_role_none_comes_back_by_reset_role(self):
        self.apply()
        manager = self.rotated().manager
        self.assertEqual(self.as_current(manager, "SET ROLE NONE; RESET ROLE; SELECT current_user"), [(self.owner,)])

    def test_a_schema_of_ones_own_can_be_named(self):
        self.server.psql(file=SCRIPT, database=self.database,
                         variables={"login": self.login, "owner": self.owner, "schema": "forecasts"})
        manager = self.rotated().manager
        self.as_current(manager, "CREATE TABLE forecasts.one (x int)")
        self.assertEqual(self.owner_of("one"), self.owner)


if __name__ == "__main__":
    story.main()
