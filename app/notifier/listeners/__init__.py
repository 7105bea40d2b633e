"""What listens to chats: it takes what comes back, has it carried out, and tells what came of it."""
