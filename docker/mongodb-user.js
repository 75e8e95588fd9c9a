// Makes the platform's user at the first start of docker-compose.yaml's MongoDB: it may read, write and administer the
// one database and nothing else.
db.getSiblingDB("admin").createUser({
  user: "shopstream",
  pwd: process.env.MONGODB_PASSWORD,
  roles: ["readWrite", "dbAdmin"].map((role) => ({ role, db: process.env.SHOPSTREAM_DATABASE })),
});
